"""The header of a weights file alone: its facts and provenance, read without the tensors and without torch."""

import json
import struct
from pathlib import Path
from typing import Any

from cellscaper.errors import CellscaperError

SCHEMA, VERSION = "cellscaper/weights", "1"
LONGEST = 100_000_000  # bytes: safetensors allows no longer header


def read_header(path: Path) -> tuple[Any, Any]:
    """Facts and provenance of a file of :func:`cellscaper.disk.weights.write_weights`.

    CellscaperError for any other file. The tensors are not read, so damage in them is not seen.
    """
    try:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > LONGEST:
                raise ValueError("the header is too long")
            own = json.loads(json.loads(file.read(length))["__metadata__"]["cellscaper"])
        check_schema(path, own)
        return json.loads(own["facts"]), json.loads(own["provenance"])
    except FileNotFoundError as error:
        raise CellscaperError(f"{path} does not exist; name a file of weights") from error
    except (OSError, ValueError, LookupError, TypeError, struct.error) as error:
        raise CellscaperError(f"{path} is not a readable weights file of cellscaper; name another one") from error


def check_schema(path: Path, header: Any) -> None:
    """CellscaperError for a header of another schema or version."""
    found = header.get("schema"), header.get("schema_version")
    if found != (SCHEMA, VERSION):
        raise CellscaperError(
            f"{path} has schema {found[0]} version {found[1]}, "
            f"this cellscaper reads {SCHEMA} version {VERSION}; train it again"
        )
