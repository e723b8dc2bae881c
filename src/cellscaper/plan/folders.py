"""Digests of files that are not inputs of a rule: a user's data set."""

from functools import cache
from pathlib import Path

from cellscaper.disk.files import checksum
from cellscaper.plan.provenance import digest

HASHED = 200_000_000  # bytes: the digest of a larger folder uses sizes and times, without reading the files


@cache
def folder_state(folder: str | None) -> str:
    """A digest of the files below a folder: by content, so that a copy is no change; by sizes and times if large."""
    if not folder:
        return "no folder"
    files = [file for file in sorted(Path(folder).rglob("*")) if file.is_file()]
    names = [ascii(str(file.relative_to(folder))) for file in files]  # also works for names that are not UTF-8
    facts = [file.stat() for file in files]
    if sum(fact.st_size for fact in facts) > HASHED:
        return digest([names, [[fact.st_size, fact.st_mtime_ns] for fact in facts]])
    return digest([names, [_content(file) for file in files]])


def _content(file: Path) -> str | None:
    """SHA-256 of a file; None for an unreadable file, which the stage will report."""
    try:
        return checksum(file)
    except OSError:
        return None
