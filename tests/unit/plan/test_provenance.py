"""Fingerprints see what code does, not how it is written; closures follow imports at module level."""

import ast
import hashlib
import itertools
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from cellscaper.plan import modules
from cellscaper.plan.modules import SRC
from cellscaper.plan.provenance import canonical, code, digest, git_state, record

MODULE = '''
"""What it is."""

import math

LIMIT = 3


class Cell:
    """A cell."""

    def area(self, radius: float = 2.0, *, closed: bool = True) -> float:
        """px²."""
        note = f"{radius!r:>8} px"  # shown
        return math.pi * radius**2 if closed else len(note)
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Make files of a package ``cellscaper`` of its own; returns a function that writes {module: source}."""
    monkeypatch.setattr(modules, "SRC", tmp_path)
    monkeypatch.setattr(modules, "KEPT", tmp_path / "kept.json")

    def clear():
        for kept in (modules.fingerprint, modules.imports, modules._kept):
            kept.cache_clear()

    def write(**sources):
        for name, source in {"__init__": "", **sources}.items():
            path = tmp_path / "cellscaper" / Path(*name.split("__", 1) if not name.startswith("__") else [name])
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / "__init__.py").touch()
            path.with_suffix(".py").write_text(textwrap.dedent(source), encoding="utf-8")
        clear()

    yield write
    clear()


def fingerprint(package, source):
    package(m=source)
    return modules.fingerprint("cellscaper.m")


# -- what a fingerprint sees -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # shown", "  # another comment"),
        ("LIMIT = 3\n", "# a comment alone\nLIMIT = 3  # cells\n"),
        ('"""px²."""', '"""Square pixels,\n\n        of a disc.\n        """'),
        ('        """px²."""\n', ""),
        ('"""A cell."""', "'''A cell of tissue.'''"),
        ('"""What it is."""\n', ""),
        ("LIMIT = 3", "LIMIT=(3)"),
        ("LIMIT = 3", "LIMIT = 0x3"),
        (
            "(self, radius: float = 2.0, *, closed: bool = True)",
            "(\n self, radius: float = 2.0, *, closed: bool = True,\n )",
        ),
        ("radius**2", "(radius ** 2)"),
        ('f"{radius!r:>8} px"', "f'{radius!r:>8} px'"),
        ('f"{radius!r:>8} px"', 'u""f"{radius!r:>8} px"'),
    ],
)
def test_comments_docstrings_and_formatting_do_not_count(old, new, package):
    assert old in MODULE
    assert fingerprint(package, MODULE.replace(old, new)) == fingerprint(package, MODULE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("LIMIT = 3", "LIMIT = 3.0"),
        ("LIMIT = 3", "LIMIT = '3'"),
        ("LIMIT = 3", "LIMIT = True"),
        ("LIMIT", "LIMITS"),
        ("radius: float = 2.0", "radius: float = 2.5"),
        ("bool = True", "bool = False"),
        ("*, closed", "closed"),
        ("radius**2", "radius*2"),
        ("radius**2", "-radius**2"),
        ("!r:>8", "!s:>8"),
        ("!r:>8", "!r:>9"),
        (' px"', ' µm"'),
        ("import math", "import cmath as math"),
        ("if closed", "if not closed"),
        ("class Cell:", "class Cell(dict):"),
        ("    def area", "    @staticmethod\n    def area"),
        ("        return math", "        'a string that is no docstring'\n        return math"),
    ],
)
def test_anything_that_can_change_a_result_counts(old, new, package):
    assert old in MODULE
    assert fingerprint(package, MODULE.replace(old, new)) != fingerprint(package, MODULE)


def test_statements_moved_between_blocks_count(package):
    inside = "def f(x):\n    if x:\n        x += 1\n        x *= 2\n    return x\n"
    outside = "def f(x):\n    if x:\n        x += 1\n    x *= 2\n    return x\n"
    assert fingerprint(package, inside) != fingerprint(package, outside)


def test_different_operators_and_structures_never_share_a_fingerprint(package):
    sources = [
        *(
            f"y = a {op} b"
            for op in ("+", "-", "*", "/", "//", "%", "@", "<", "<=", "==", "!=", "and", "or", "in", "is")
        ),
        *("y = [a, b]", "y = (a, b)", "y = {a, b}", "y = {a: b}", "y = a[b]", "y = a(b)", "y = a.b", "y = a(*b)"),
        *("y = a(**b)", "y = a[b:]", "y = a[:b]", "y = [a for a in b]", "y = (a for a in b)", "y: a = b", "y += a"),
    ]
    found = [fingerprint(package, source) for source in sources]
    assert len(set(found)) == len(sources)


def test_fields_that_newer_pythons_add_to_the_syntax_tree_do_not_count(package, monkeypatch):
    """3.12 gave functions and classes ``type_params``; 3.8 gave strings ``kind``."""
    expected = fingerprint(package, MODULE)
    parse = ast.parse

    def newer(source, **named):
        tree = parse(source, **named)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                node.type_params = []
            if isinstance(node, ast.Constant):
                node.kind = "u"
        return tree

    for kind in (ast.FunctionDef, ast.ClassDef):
        monkeypatch.setattr(kind, "_fields", tuple(dict.fromkeys([*kind._fields, "type_params"])))
    monkeypatch.setattr(modules.ast, "parse", newer)
    assert fingerprint(package, MODULE) == expected


def test_a_data_file_beside_a_module_that_names_it_counts(package, tmp_path):
    source = """from pathlib import Path\nSUMS = Path(__file__).with_name("sums.sha256")\nNAME = "values.yaml"\n"""
    sums, values = tmp_path / "cellscaper/sums.sha256", tmp_path / "cellscaper/values.yaml"

    def with_data(one, two):
        sums.write_text(one), values.write_text(two)
        return fingerprint(package, source)

    without = fingerprint(package, source)
    first = with_data("ab", "a: {b: 1, c: 2}")
    assert without != first != with_data("cd", "a: {b: 1, c: 2}")
    assert with_data("ab", "# a comment\na:\n  b: 1\n  c: 2\n") == first
    assert len({first, with_data("ab", "a: {b: 1, c: 3}"), with_data("ab", "a: {c: 2, b: 1}")}) == 3  # order shows
    (tmp_path / "cellscaper/other.html").write_text("x")
    assert with_data("ab", "a: {b: 1, c: 2}") == first


@pytest.mark.parametrize(
    ("names", "file"),
    [
        (("stages.fetch_dataset", "datasets.brca_m2c"), "brca_m2c.sha256"),
        (("stages.make_tables",), "paper_values.yaml"),
        (("stages.make_report",), "report.html"),
        (("stages.make_report",), "captions.yaml"),
        (("stages.make_gallery",), "gallery.html"),
    ],
)
def test_the_packages_data_files_are_in_the_fingerprints_of_the_stages_that_read_them(names, file, monkeypatch):
    content = modules._content
    before = code(*(f"cellscaper.{one}" for one in names))
    monkeypatch.setattr(modules, "_content", lambda path: content(path) + "edited" * (path.name == file))
    modules.fingerprint.cache_clear()
    after = code(*(f"cellscaper.{one}" for one in names))
    monkeypatch.undo()
    modules.fingerprint.cache_clear()
    assert before == code(*(f"cellscaper.{one}" for one in names))
    assert sum(before[name] != after[name] for name in before) == 1


# -- what is kept between processes ------------------------------------------------------------------------


def test_kept_readings_give_the_same_fingerprints_without_parsing(package, monkeypatch):
    package(stage="from cellscaper import a", a='NAME = "sums.txt"')
    first = code("cellscaper.stage")
    modules._keep()
    package()
    with monkeypatch.context() as patched:
        patched.setattr(modules.ast, "parse", None)
        assert code("cellscaper.stage") == first
    (modules.SRC / "cellscaper/sums.txt").write_text("1")
    package()
    assert code("cellscaper.stage") != first


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"by": "another", "readings": {}}', '{"by": 1'])
def test_kept_readings_of_another_version_or_damaged_ones_are_not_used(package, text):
    package(stage="X = 1")
    first = code("cellscaper.stage")
    modules.KEPT.write_text(text)
    package()
    assert code("cellscaper.stage") == first


def test_readings_that_cannot_be_kept_are_no_error(package, monkeypatch, tmp_path):
    package(stage="X = 1")
    (tmp_path / "file").touch()
    monkeypatch.setattr(modules, "KEPT", tmp_path / "file/kept.json")
    assert code("cellscaper.stage")
    modules._keep()


# -- closures ----------------------------------------------------------------------------------------------


def names(found):
    assert all(len(value) == 12 and int(value, 16) >= 0 for value in found.values())
    return {name.removeprefix("code_cellscaper_") for name in found if name != "code_cellscaper"}


def test_a_closure_holds_what_is_imported_at_module_level_and_no_more(package):
    package(
        stage="""
            import json
            import numpy as np
            import cellscaper.a
            from cellscaper import b
            from cellscaper.folder import inner
            from cellscaper.c import function, CONSTANT

            def main():
                from cellscaper import local
                import cellscaper.local_too
            """,
        a="import cellscaper.d as other",
        b="",
        c="function, CONSTANT = max, 1",
        d="from cellscaper import stage  # a circle",
        folder__inner="",
        local="",
        local_too="",
        unused="",
    )
    assert names(code("cellscaper.stage")) == {"stage", "a", "b", "c", "d", "folder", "folder_inner"}
    assert names(code("cellscaper.local")) == {"local"}
    assert names(code("cellscaper.stage", apart=("cellscaper.a",))) == set()  # a leads to all of it
    assert names(code("cellscaper.stage", "cellscaper.local", apart=("cellscaper.c", "cellscaper.b"))) == {
        "stage", "a", "d", "folder", "folder_inner", "local",
    }  # fmt: skip


def test_one_edited_module_changes_its_own_fingerprint_alone(package):
    package(stage="from cellscaper import a, b", a="X = 1", b="Y = 1")
    before = code("cellscaper.stage")
    package(a="X = 2")
    after = code("cellscaper.stage")
    assert {name for name in before if before[name] != after[name]} == {"code_cellscaper_a"}


def test_a_module_that_is_not_there_is_an_error(package):
    package(a="")
    with pytest.raises(FileNotFoundError, match="cellscaper.b is not a module"):
        code("cellscaper.b")


# -- the conventions that closures rest on -------------------------------------------------------------------

BY_NAME = "cellscaper.run.methods"  # imports the chosen method
LOCAL_IMPORTS = {
    "cellscaper.plan.provenance": "reads checksums for records alone; at module level the Snakefile would load h5py",
}


def module_name(path):
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in sorted((SRC / "cellscaper").rglob("*.py"))}


def own_imports(node):
    """Whether a statement imports from the package."""
    if isinstance(node, ast.ImportFrom):
        return node.level > 0 or (node.module or "").split(".")[0] == "cellscaper"
    return isinstance(node, ast.Import) and any(a.name.split(".")[0] == "cellscaper" for a in node.names)


@pytest.mark.parametrize("name", SOURCES)
def test_own_modules_are_imported_at_module_level(name):
    """What is imported elsewhere is missing from the stage's fingerprint. Commands name it in their records."""
    tree = ast.parse(SOURCES[name].read_bytes())
    elsewhere = [node.lineno for node in ast.walk(tree) if own_imports(node) and node not in tree.body]
    if name in LOCAL_IMPORTS:
        assert elsewhere, f"{name} needs no exception"
    elif not name.startswith("cellscaper.commands."):
        assert not elsewhere, f"{name}: import at module level, lines {elsewhere}"


@pytest.mark.parametrize("name", SOURCES)
def test_imports_are_absolute_and_by_name(name):
    tree = ast.parse(SOURCES[name].read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno}: relative import"
            assert all(a.name != "*" for a in node.names), f"{name}:{node.lineno}: star import"
            if node.module == "importlib.util" and {a.name for a in node.names} <= {"find_spec", "cache_from_source"}:
                continue  # say whether a package is there, and where bytecode stands; they import nothing
            modules = [node.module or ""]
        elif isinstance(node, ast.Import):
            modules = [a.name for a in node.names]
        else:
            assert not (isinstance(node, ast.Name) and node.id == "__import__"), f"{name}:{node.lineno}"
            continue
        data = ("importlib.metadata", "importlib.resources")  # they read files, not code
        dynamic = [m for m in modules if m.split(".")[0] in ("importlib", "runpy", "pkgutil") and m not in data]
        assert not dynamic or name == BY_NAME, f"{name}:{node.lineno}: {dynamic}"


def test_methods_are_imported_by_name_in_one_place():
    """A rule names the chosen method's fingerprint, which is that of ``cellscaper.<kind>.<name>``."""
    tree = ast.parse(SOURCES[BY_NAME].read_bytes())
    uses = [
        node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "importlib"
    ]
    calls = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call) and node.func in uses]
    assert calls == ["importlib.import_module(f'cellscaper.{kind}.{name}')"] and len(uses) == 1


def test_packages_hold_no_code_of_their_own():
    """A package's ``__init__`` runs with each of its modules, but is in their closures only when it is named."""
    assert all(path.read_text() == "" for path in SOURCES.values() if path.name == "__init__.py")


LOADED = """
import importlib, json, sys
found = {}
for stage in sys.argv[1:]:
    for name in [name for name in sys.modules if name.split(".")[0] == "cellscaper"]:
        del sys.modules[name]
    importlib.import_module(stage)
    found[stage] = [name for name in sys.modules if name.split(".")[0] == "cellscaper"]
print(json.dumps(found))
"""


@pytest.mark.slow
def test_fingerprints_cover_what_python_loads_with_each_stage():
    stages = [name for name in SOURCES if name.startswith("cellscaper.stages.")]
    run = subprocess.run([sys.executable, "-c", LOADED, *stages], capture_output=True, text=True, check=True)
    empty = {name for name, path in SOURCES.items() if path.name == "__init__.py"}
    for stage, loaded in json.loads(run.stdout).items():
        fingerprinted = {name for name in SOURCES if "code_" + name.replace(".", "_") in code(stage)}
        assert set(loaded) - empty == fingerprinted - empty, stage


# -- records -------------------------------------------------------------------------------------------------


def test_canonical_json_is_the_same_for_equal_configs_and_reads_back():
    one = {"b": [1, 2.5, None, True], "a": {"y": "größe", "x": 1e-5}}
    other = {"a": {"x": 1e-5, "y": "größe"}, "b": [1, 2.5, None, True]}
    assert canonical(one) == canonical(other)
    assert json.loads(canonical(one)) == one
    assert " " not in canonical(one)
    assert canonical({"b": [2, 1]}) != canonical({"b": [1, 2]})


def test_digests_differ_where_values_do():
    values = [1, 1.5, "1", None, True, [1], {"a": 1}, {"a": "1"}, {"a": {"b": 1}}]
    found = [digest(value) for value in values]
    assert all(a != b for a, b in itertools.combinations(found, 2))
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_a_record_says_what_made_a_file(tmp_path):
    (tmp_path / "cells.h5").write_bytes(b"abc")
    made = record("cut_patches", {"region": 256}, 7, {"cells": tmp_path / "cells.h5"})
    assert made["inputs"] == {"cells": {"file": "cells.h5", "sha256": hashlib.sha256(b"abc").hexdigest()}}
    assert (made["stage"], made["config"], made["seed"]) == ("cut_patches", {"region": 256}, 7)
    assert made["libraries"]["numpy"] == __import__("numpy").__version__
    assert json.loads(json.dumps(made)) == made
    assert str(tmp_path) not in json.dumps(made)  # equal runs in other folders give equal files


def test_a_record_knows_the_code_of_the_chosen_method():
    made = {name: record("train_layout", {}, 0, {}, name)["code"] for name in [(), ("generators.adm",)]}
    assert made[()] != made["generators.adm",]


def test_git_state_is_the_commit_or_unknown(monkeypatch, tmp_path):
    git_state.cache_clear()
    monkeypatch.setattr("cellscaper.plan.provenance.SRC", tmp_path)
    assert git_state() == "unknown"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "x").write_text("1")
    for command in (["init", "-q"], ["add", "x"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *command], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    git_state.cache_clear()
    assert git_state() == commit
    (tmp_path / "x").write_text("2")
    git_state.cache_clear()
    assert git_state() == commit + "+changes"
    git_state.cache_clear()
