"""The origin of a file, and the code that made it.

Every output carries a `record`. `code` fingerprints the modules that a stage imports, so that Snakemake
reruns a stage exactly when code that it uses has changed (comments, docstrings and formatting do not count), or a
data file beside it that it names.
"""

import ast
import hashlib
import json
import platform
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

_FILE_NAME = re.compile(r"'[\w-]+\.\w+'")
SRC = Path(__file__).resolve().parents[2]
PACKAGE = "cellscaper"


def canonical(config: Any) -> str:
    """Canonical JSON of a config section: sorted keys, no spaces."""
    return json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


# -- records -----------------------------------------------------------------------------------------------


def record(
    stage: str,
    config: Any,
    seed: int | None,
    inputs: Mapping[str, Path],
    methods: Sequence[str] = (),
    package: str = "stages",
) -> dict[str, Any]:
    """The provenance of one output: package, git state, code, config section, seed, checksums of the inputs.

    ``methods`` are the modules that the stage's config names, such as ``generators.adm``; the stage
    itself is a module of ``package``.
    """
    return {
        "stage": stage,
        "cellscaper": _version(PACKAGE),
        "git": git_state(),
        "code": digest(code(f"{PACKAGE}.{package}.{stage}", *(f"{PACKAGE}.{method}" for method in methods))),
        "config": config,
        "seed": seed,
        "inputs": {name: {"file": Path(p).name, "sha256": _sum(Path(p))} for name, p in inputs.items()},
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in ("numpy", "torch", "gudhi", "scikit-learn", "h5py")},
    }


def _sum(path: Path) -> str:
    """The SHA-256 of a file; of a folder with the parts of a set, of the names and sums of its HDF5 files."""
    from cellscaper.disk.files import checksum

    if not path.is_dir():
        return checksum(path)
    sums = [[str(file.relative_to(path)), checksum(file)] for file in sorted(path.rglob("*.h5"))]
    return hashlib.sha256(canonical(sums).encode()).hexdigest()


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


@cache
def git_state() -> str:
    """``<commit>`` or ``<commit>+changes`` of the source tree; ``unknown`` outside git."""
    try:
        run = ["git", "-C", str(SRC)]
        commit = subprocess.run([*run, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        status = subprocess.run([*run, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+changes" if status.stdout.strip() else "")


# -- code fingerprints -------------------------------------------------------------------------------------


def code(*modules: str, apart: tuple[str, ...] = ()) -> dict[str, str]:
    """Fingerprints of ``modules`` and of all modules of the package that they import at module level.

    Imports inside functions are a choice between methods; the rule names the chosen method in ``modules``.
    ``apart``: modules to leave out with all their imports (another ``code`` has them).
    Returns {``code_<module with underscores>``: 12 hex digits}: one Snakemake param each, so that a dry
    run names the module that changed.
    """
    chosen = _closure(modules) - _closure(apart)
    return {"code_" + name.replace(".", "_"): fingerprint(name) for name in sorted(chosen)}


def digest(value: Any) -> str:
    """12 hex digits of any JSON value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:12]


@cache
def fingerprint(module: str) -> str:
    """12 hex digits of a module's syntax tree without comments, docstrings and positions, and of the data files beside
    it that it names."""
    lines = list(_dump(_tree(module)))
    named = sorted(line.strip("'") for line in set(lines) if _FILE_NAME.fullmatch(line))
    data = [_content(file) for file in map(_source(module).with_name, named) if file.is_file()]
    return hashlib.sha256("\n".join(lines + data).encode()).hexdigest()[:12]


def _content(file: Path) -> str:
    """A digest of a data file: of YAML the keys and values in order, so that comments do not count."""
    raw = file.read_bytes()
    if file.suffix == ".yaml":
        raw = json.dumps(yaml.load(raw, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))).encode()
    return hashlib.sha256(raw).hexdigest()


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_source(module).read_bytes(), filename=str(_source(module)))


def _source(module: str) -> Path:
    path = SRC.joinpath(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not source.exists():
        raise FileNotFoundError(f"{module} is not a module under {SRC}; after removing a method run `make schema`")
    return source


def _closure(modules: tuple[str, ...]) -> set[str]:
    seen: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(_imports(name))
    return seen


@cache
def _imports(module: str) -> frozenset[str]:
    """Modules of the package that ``module`` imports at module level."""
    found = set()
    tree = _tree(module)
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {f"{node.module}.{a.name}" for a in node.names} | {node.module}
    return frozenset(name for name in found if name.split(".")[0] == PACKAGE and _is_module(name))


def _is_module(name: str) -> bool:
    path = SRC.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


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
