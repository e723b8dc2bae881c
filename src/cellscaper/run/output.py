"""Output that any terminal can show, and the folder that Snakemake needs in the user's home."""

import codecs
import os
import sys
from pathlib import Path

_PLAIN = {
    "µ": "u",
    "μ": "u",
    "×": "x",
    "–": "-",
    "—": "-",
    "…": "...",
    "→": "->",
    "✗": "x",
    "·": ".",
    "±": "+-",
    "≤": "<=",
}


def make_printable() -> None:
    """Let standard output and error show every text: signs that their encoding lacks are written in plain letters."""
    codecs.register_error("cellscaper", _replacement)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not a stream that a test put there
            stream.reconfigure(errors="cellscaper")


def _replacement(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(sign, sign.encode("ascii", "backslashreplace").decode()) for sign in text), error.end


def cache_fault() -> str | None:
    """Why Snakemake cannot keep its cache in the home folder, in one sentence; None if it can."""
    named = os.environ.get("XDG_CACHE_HOME")
    folder = Path(named) if named else Path(os.path.expanduser("~")) / ".cache"
    try:
        (folder / "snakemake").mkdir(parents=True, exist_ok=True)  # as Snakemake does
    except OSError:
        pass
    else:
        if os.access(folder / "snakemake", os.W_OK | os.X_OK):
            return None
    return f"{folder} cannot be written, and Snakemake needs a cache there; set XDG_CACHE_HOME to a folder of yours"
