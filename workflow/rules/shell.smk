# How a rule runs its stage: interpreter, code, signals.

import os
import signal
import sys
import threading
from pathlib import Path

from cellscaper.plan.house import code_folder

# `python` in a rule is the interpreter that runs Snakemake; a conda environment, if asked for, goes before it.
# The code that is fingerprinted is the code that runs.
os.environ.update(
    PATH=os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)]),
    PYTHONPATH=str(code_folder(Path(".snakemake"))),
)

if threading.current_thread() is threading.main_thread():
    # Without a handler SIGUSR1 ends Snakemake, and with it the training that would have saved its state.
    signal.signal(signal.SIGUSR1, lambda *_: None)

# SLURM and Ctrl-C signal every process of a job. The training saves its state on that signal, so the shell around it
# and `tee` must outlive it: the shell ignores TERM and USR1, and `tee` ignores INT as well.
shell.prefix(
    "set -euo pipefail; trap : TERM USR1; " "tee() ( trap '' INT TERM USR1; exec tee \"$@\" ); "
)
