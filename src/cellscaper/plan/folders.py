"""Digests of files that are not inputs of a rule: a user's data set or weights."""

import os
from functools import cache
from pathlib import Path

from cellscaper.disk.files import checksum
from cellscaper.disk.walk import walk
from cellscaper.plan.provenance import digest

HASHED = 200_000_000  # bytes: the digest of a larger folder uses sizes and times, without reading the files


@cache
def folder_state(folder: str | None) -> str:
    """A digest of the files below a folder: by content, so that a copy is no change; by sizes and times if large."""
    if not folder:
        return "no folder"
    facts = {file: fact for file in walk(Path(folder)) if (fact := _fact(file))}
    names = [ascii(str(file.relative_to(folder))) for file in facts]  # also works for names that are not UTF-8
    if sum(fact.st_size for fact in facts.values()) > HASHED:
        return digest([names, [[fact.st_size, fact.st_mtime_ns] for fact in facts.values()]])
    return digest([names, [_content(file) for file in facts]])


def _fact(file: Path) -> os.stat_result | None:
    """Size and time of a file; None for anything else, and for a file that vanished since it was listed."""
    try:
        return file.stat() if file.is_file() else None
    except FileNotFoundError:
        return None


@cache
def file_state(file: str) -> str:
    """The SHA-256 of a file."""
    return checksum(Path(file))


def _content(file: Path) -> str | None:
    """SHA-256 of a file; None for an unreadable file, which the stage will report."""
    try:
        return checksum(file)
    except OSError:
        return None
