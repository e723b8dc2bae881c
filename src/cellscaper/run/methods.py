"""The methods by kind and name: a method is the file ``cellscaper/<kind>/<name>.py`` with a class ``Settings``.

A method is imported only by a stage that uses it, so that an edit of its file reruns only the rows of this method.
Rules that run such a stage have the method's fingerprint among their params (`plan.provenance`).
"""

import ast
import hashlib
import importlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from cellscaper.errors import CellscaperError
from cellscaper.plan.house import PACKAGE, ROOT
from cellscaper.run.settings import Settings, read, settings_in

FACTS = ROOT / "workflow" / "schemas" / "methods.json"
KINDS = ("datasets", "density", "generators", "features", "painters", "detectors", "metrics")
# what planning is told of a module, beside its settings
TOLD = ("TRAINING", "DECODERS", "BEGINS", "GPU", "BY_HAND", "COLUMNS", "OF", "SCORE", "LABEL", "CAVEAT")


@cache
def names(kind: str) -> tuple[str, ...]:
    """The methods of a kind: the files of its folder that define ``Settings``."""
    files = sorted(PACKAGE.joinpath(kind).glob("*.py"))
    return tuple(file.stem for file in files if _has_settings(file))


def _has_settings(file: Path) -> bool:
    try:
        tree = ast.parse(file.read_bytes(), filename=str(file))
    except SyntaxError:  # an unfinished file breaks no other method; importing it shows the error
        return True
    return any(isinstance(node, ast.ClassDef) and node.name == "Settings" for node in tree.body)


def load(kind: str, name: str) -> Any:
    """The module of a method; CellscaperError that lists the methods of this kind for an unknown name.

    ``<kind>/protocol.py`` describes the modules of each kind.
    """
    file = PACKAGE / kind / f"{name}.py"
    if not (file.exists() and _has_settings(file)):
        raise CellscaperError(f"{name!r} is no method of {kind}; there are {', '.join(names(kind))}")
    return importlib.import_module(f"cellscaper.{kind}.{name}")


def method(kind: str, name: str) -> Any:
    """As :func:`load`; errors also as in :func:`current`."""
    return current(load(kind, name))


def current(module: Any) -> Any:
    """The module of a method; CellscaperError if planning has used other defaults or facts than the module's."""
    kind, name = module.__name__.split(".")[-2:]
    if _planned().get(kind, {}).get(name) not in (None, defaults_digest(module)):
        raise CellscaperError(
            f"the settings in cellscaper/{kind}/{name}.py differ from those in workflow/schemas; run `make schema`, "
            "then start the workflow again"
        )
    return module


@cache
def _planned() -> dict[str, dict[str, str]]:
    return json.loads(FACTS.read_text(encoding="utf-8"))["defaults"] if FACTS.exists() else {}


def defaults_digest(module: Any) -> str:
    """12 hex digits of the keys and defaults of a method's settings at any depth, and of its facts."""
    defaults = [_defaults(getattr(module, name)) for name in ("Settings", "Sampling") if hasattr(module, name)]
    plain = TypeAdapter(Any).dump_python([defaults, [getattr(module, name, None) for name in TOLD]], mode="json")
    text = json.dumps(plain, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _defaults(model: type[Settings]) -> dict[str, Any]:
    """{key: its default, and the defaults of each block that it may hold}."""
    return {
        key: ["required" if one.is_required() else one.get_default(), *map(_defaults, settings_in(one.annotation))]
        for key, one in model.model_fields.items()
    }


def chosen(kind: str, section: Any) -> tuple[Any, Any]:
    """The module that a section names as ``method``, and its ``settings`` as the module's ``Settings``."""
    found = method(kind, section["method"])
    return found, read(found.Settings, section["settings"], f"{kind} {section['method']}")
