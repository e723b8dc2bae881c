"""`python -m cellscaper` is the `cellscaper` command."""

import sys

from cellscaper import cli

sys.argv[0] = "cellscaper"
cli.main()
