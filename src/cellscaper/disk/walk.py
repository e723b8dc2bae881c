"""One walk of a folder: the same files are read as data and watched for changes."""

import os
from pathlib import Path


def walk(folder: Path) -> list[Path]:
    """All files below a folder, sorted by path.

    Links to folders are followed. Each folder is visited once, by its own path before any link to it, so a circle
    of links ends and no file is listed twice. A folder that cannot be read has no files.
    """
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    waiting, links = [Path(folder)], list[Path]()
    while waiting or links:
        if not waiting:
            waiting.append(links.pop(0))
        inner = waiting.pop()
        try:
            facts = inner.stat()
            if (facts.st_dev, facts.st_ino) in seen:
                continue
            seen.add((facts.st_dev, facts.st_ino))
            entries = sorted(os.scandir(inner), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            try:
                if entry.is_dir():
                    (links if entry.is_symlink() else waiting).append(inner / entry.name)
                else:
                    found.append(inner / entry.name)
            except OSError:
                found.append(inner / entry.name)
    return sorted(found)
