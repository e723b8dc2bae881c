"""Text and JSON of files of other programs, packed with gzip or not, with one-line errors."""

import codecs
import gzip
import io
import json
import shlex
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cellscaper.errors import CellscaperError

LARGEST_TEXT = 1 << 31  # bytes of an unpacked file
JSON_LINES = "JSON by lines: save GeoJSON as one FeatureCollection"
_GZIP = b"\x1f\x8b"


class OtherKindError(ValueError):
    """The contents are of a kind that is not read; the words name it and say what to do."""


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn any error about the contents of a file into one line; ``what`` names the expected format."""
    try:
        yield
    except OtherKindError as error:
        raise CellscaperError(f"{path} holds {error}") from error
    except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError, AttributeError, MemoryError) as error:
        reason = " ".join((str(error) or type(error).__name__).split())[:200]
        raise CellscaperError(f"{path} is not {what} ({reason}); correct the file") from error


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 with its mark, also packed with gzip.

    CellscaperError if it cannot be read.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise CellscaperError(f"{path} does not exist") from error
    except OSError as error:
        raise CellscaperError(f"{path} cannot be read: {error.strerror}") from error
    try:
        whole = _unpacked(path, data)
        wide = whole.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # "Unicode text" of Excel
        return whole.decode("utf-16" if wide else "utf-8-sig")  # line ends inside names stay as they are
    except UnicodeDecodeError as error:
        raise CellscaperError(_other_coding(path, error, packed=data.startswith(_GZIP))) from error


def _other_coding(path: Path, error: UnicodeDecodeError, packed: bool) -> str:
    """Which coding a text may have that is not UTF-8, and how to convert it."""
    whole = error.object
    line = whole.count(b"\n", 0, error.start) + 1
    start, end = whole.rfind(b"\n", 0, error.start) + 1, whole.find(b"\n", error.start)
    try:
        shown = whole[start : end if end >= 0 else None].decode("cp1252").strip()
        whole.decode("cp1252")
    except UnicodeDecodeError:
        shown = ""
    if error.encoding.startswith("utf-16") or not shown or "\0" in shown or packed:
        return f"{path}:{line} is not UTF-8 text; save it as UTF-8"
    old, new = shlex.quote(str(path)), shlex.quote(f"{path}.utf8")
    return (
        f"{path}:{line} is not UTF-8 text; if this line is {found(shown)}, it is in Windows-1252 (Latin-1): iconv -f "
        f"CP1252 -t UTF-8 {old} > {new} && mv {new} {old} converts it; else save it as UTF-8"
    )


def _unpacked(path: Path, data: bytes) -> bytes:
    if not data.startswith(_GZIP):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            found = file.read(LARGEST_TEXT + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise CellscaperError(f"{path} is packed with gzip and damaged ({error}); get it again") from error
    if len(found) > LARGEST_TEXT:
        raise CellscaperError(f"{path} holds over {LARGEST_TEXT} bytes when it is unpacked; cut it into parts")
    return found


def parse(text: str) -> Any:
    """The value of JSON text; ValueError (or RecursionError) for other text, OtherKindError for JSON by lines."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and _by_lines(text):
            raise OtherKindError(JSON_LINES) from error
        raise


def _by_lines(text: str) -> bool:
    """Whether the first lines of a text are an object of JSON each."""
    lines = [line for line in text.split("\n") if line.strip()][:5]
    try:
        return len(lines) > 1 and all(isinstance(json.loads(line), dict) for line in lines)
    except ValueError:
        return False


def suffix(path: Path) -> str:
    """The ending of a file in small letters, without a ``.gz`` behind it."""
    name = path.name.lower().removesuffix(".gz")
    return "." + name.rpartition(".")[2] if "." in name else ""


def found(value: Any) -> str:
    """A value for an error message, shortened."""
    text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
