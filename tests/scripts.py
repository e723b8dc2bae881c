"""Scripts of the repository as modules: those of docs/ and workflow/schemas/ belong to no package."""

import importlib.util
import sys
from types import ModuleType

from presets import REPOSITORY


def script(name: str) -> ModuleType:
    """The module of a script, by its path in the repository; `sys.path` is as before."""
    file, before = REPOSITORY / name, sys.path[:]
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module
