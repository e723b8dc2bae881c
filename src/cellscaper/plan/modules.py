"""What a module of the package imports, and a fingerprint of what it does.

One pass over a source finds both. What was found is kept between processes, beside Python's bytecode and as that is:
every job of a workflow asks for some hundred modules.
"""

import ast
import atexit
import contextlib
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import TypedDict

import yaml

SRC = Path(__file__).resolve().parents[2]
PACKAGE = "cellscaper"
KEPT = Path(cache_from_source(__file__)).with_suffix(".json")
LIMIT = 2000  # sources whose readings are kept
_FILE_NAME = re.compile(r"'[\w-]+\.\w+'")


class Reading(TypedDict):
    """What one pass over a source finds."""

    imports: list[str]  # at module level, from the package; some are names in modules
    names: list[str]  # texts that look like names of files
    data: list[str] | None  # digests of those that are files, when `fingerprint` was made
    fingerprint: str


@cache
def fingerprint(module: str) -> str:
    """12 hex digits of a module's syntax tree without comments, docstrings and positions, and of the data files beside
    it that it names. FileNotFoundError if there is no such module."""
    reading = _reading(module)
    data = [_content(file) for file in map(_source(module).with_name, reading["names"]) if file.is_file()]
    if reading["data"] != data:
        lines = [*_dump(_tree(module)), *data]
        reading["fingerprint"] = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
        reading["data"] = data
    return reading["fingerprint"]


@cache
def imports(module: str) -> frozenset[str]:
    """Modules of the package that ``module`` imports at module level. FileNotFoundError if there is no such module."""
    return frozenset(name for name in _reading(module)["imports"] if _is_module(name))


def _source(module: str) -> Path:
    path = SRC.joinpath(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not source.exists():
        raise FileNotFoundError(f"{module} is not a module under {SRC}; after removing a method run `make schema`")
    return source


def _is_module(name: str) -> bool:
    path = SRC.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def _content(file: Path) -> str:
    """A digest of a data file: of YAML the keys and values in order, so that comments do not count."""
    raw = file.read_bytes()
    if file.suffix == ".yaml":
        raw = json.dumps(yaml.load(raw, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))).encode()
    return hashlib.sha256(raw).hexdigest()


# -- one pass over a source ----------------------------------------------------------------------------------


def _tree(module: str) -> ast.Module:
    return ast.parse(_source(module).read_bytes(), filename=str(_source(module)))


def _read(tree: ast.Module) -> Reading:
    names = sorted({line.strip("'") for line in _dump(tree) if _FILE_NAME.fullmatch(line)})
    found = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {f"{node.module}.{a.name}" for a in node.names} | {node.module}
    own = sorted(name for name in found if name.split(".")[0] == PACKAGE)
    return {"imports": own, "names": names, "data": None, "fingerprint": ""}


def _dump(node: ast.AST) -> Iterator[str]:
    """The tree as lines. ast.dump is no alternative: its output differs between Python versions."""
    yield type(node).__name__
    for name, value in ast.iter_fields(node):
        if name in ("type_comment", "kind", "ctx", "type_params"):
            continue
        if name == "body" and isinstance(value, list) and value and _is_docstring(node, value[0]):
            value = value[1:]
        yield f".{name}"
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, ast.AST):
                yield from _dump(item)
            else:
                yield repr(item)
    yield ";"


def _is_docstring(owner: ast.AST, first: ast.AST) -> bool:
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return (
        isinstance(owner, owners)
        and isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )


# -- kept between processes ------------------------------------------------------------------------------------


def _reading(module: str) -> Reading:
    content = hashlib.sha256(_source(module).read_bytes()).hexdigest()
    kept = _kept()
    if content not in kept:
        kept[content] = _read(_tree(module))
        _keep_at_exit()
    return kept[content]


@cache
def _kept() -> dict[str, Reading]:
    """Readings by the SHA-256 of the source, if this module made them as it stands."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads(KEPT.read_text(encoding="utf-8"))
        if found["by"] == _own():
            return dict(list(found["readings"].items())[-LIMIT:])
    return {}


def _own() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


@cache
def _keep_at_exit() -> None:
    if not sys.dont_write_bytecode:
        atexit.register(_keep)


def _keep() -> None:
    """Write the readings. Where that is not allowed, the next process reads the sources itself."""
    with contextlib.suppress(OSError):
        KEPT.parent.mkdir(exist_ok=True)
        partial = KEPT.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps({"by": _own(), "readings": _kept()}), encoding="utf-8")
        partial.replace(KEPT)
