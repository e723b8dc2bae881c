"""The files of a dataset's folder: one walk, patterns of images and of the dot files that belong to them."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from cellscaper.disk.walk import walk
from cellscaper.errors import CellscaperError

_PLACE = re.compile(r"\{(stem|name|\d)\}")


class FolderFiles:
    """All files below ``root`` by their paths relative to it, with ``/``, in composed letters (NFC).

    Hidden files and files in hidden folders below ``root`` are not listed, nor is macOS's ``__MACOSX``; ``odd`` are
    files whose names are not UTF-8; ``lost`` are links that lead nowhere and pipes, after ``drop_lost``.
    """

    def __init__(self, root: Path):
        self.root = root
        self.paths: dict[str, Path] = {}
        self.odd: list[Path] = []
        self.lost: list[str] = []
        for path in walk(root):
            inner = path.relative_to(root)
            if any(part.startswith(".") or part == "__MACOSX" for part in inner.parts):
                continue
            try:
                name = composed(str(PurePosixPath(*inner.parts)))
                name.encode("utf-8")
            except UnicodeEncodeError:
                self.odd.append(path)
                continue
            self.paths.setdefault(name, path)

    @classmethod
    def of_names(cls, names: Sequence[str]) -> "FolderFiles":
        """A list of names without files, for matching."""
        made = cls.__new__(cls)
        made.root, made.odd, made.lost = Path("."), [], []
        made.paths = {composed(name): Path(name) for name in names}
        return made

    def drop_lost(self) -> "FolderFiles":
        """Itself, without the names that are no files."""
        self.lost = [name for name, path in self.paths.items() if not path.is_file()]
        for name in self.lost:
            del self.paths[name]
        return self

    def matching(self, patterns: Sequence[str]) -> list[str]:
        """The names that match one of the globs, sorted; CellscaperError for a glob that leaves the folder."""
        shapes = [_glob(pattern) for pattern in patterns]
        return sorted(name for name in self.paths if any(shape.fullmatch(name) for shape in shapes))

    def cells_of(self, image: str, patterns: Sequence[str]) -> str | None:
        """The name of the first existing dot file of an image; None if there is none."""
        names = (composed(filled(pattern, image)) for pattern in patterns)
        return next((name for name in names if name in self.paths), None)


def composed(text: str) -> str:
    """Text in composed letters (NFC): macOS decomposes the names of files."""
    return unicodedata.normalize("NFC", text)


def stem(image: str) -> str:
    """The file name of an image without its last suffix, and without the ``.ome`` before it."""
    name = PurePosixPath(image).stem
    ome = PurePosixPath(image).suffix.lower() in (".tif", ".tiff") and name.lower().endswith(".ome")
    return name[:-4] if ome and len(name) > 4 else name


def filled(pattern: str, image: str) -> str:
    """The dot file of an image: {stem}, {name} are its file name without and with last suffix, {1} … its folders."""
    path = PurePosixPath(image)
    folders = path.parts[:-1]

    def value(place: re.Match[str]) -> str:
        key = place[1]
        if key in ("stem", "name"):
            return stem(image) if key == "stem" else path.name
        return folders[int(key) - 1] if 0 < int(key) <= len(folders) else place[0]

    return _PLACE.sub(value, pattern)


def has_place(pattern: str) -> bool:
    """Whether a pattern of dot files names a file for each image, not one for all."""
    return _PLACE.search(pattern) is not None


def escaped(name: str) -> str:
    """A name as a glob that matches it alone."""
    return re.sub(r"([*?[])", r"[\1]", name)


def _glob(pattern: str) -> re.Pattern[str]:
    """A glob as a regular expression: * and ? stop at /, ** is any number of folders, [ab] one of these signs."""
    parts = composed(pattern).split("/")
    if pattern.startswith("/") or ".." in parts or not pattern:
        raise CellscaperError(f"images {pattern!r}: expected a glob below the dataset's folder, without ..")
    made = []
    for i, part in enumerate(parts):
        if part == ".":
            continue
        if part == "**":
            made.append(".*" if i == len(parts) - 1 else "(?:[^/]+/)*")
            continue
        made.append(_segment(part, pattern) + ("/" if i < len(parts) - 1 else ""))
    return re.compile("".join(made), re.DOTALL)


def _segment(part: str, pattern: str) -> str:
    text, i = "", 0
    while i < len(part):
        sign = part[i]
        end = part.find("]", i + 2) if sign == "[" else -1
        if sign == "*":
            text += "[^/]*"
        elif sign == "?":
            text += "[^/]"
        elif end > 0:
            inner = part[i + 1 : end].replace("\\", "\\\\")
            inner = "^" + inner[1:] if inner[0] == "!" else inner.replace("^", "\\^", 1) if inner[0] == "^" else inner
            text += f"[{inner.replace('[', chr(92) + '[')}]"
            i = end
        else:
            text += re.escape(sign)
        i += 1
    try:
        re.compile(text)
    except re.error as error:
        raise CellscaperError(f"images {pattern!r}: {part!r} is no glob ({error})") from error
    return text
