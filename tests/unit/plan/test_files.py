"""The files of configuration and planning: plain YAML, short rules, nothing heavy loaded to parse them."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cellscaper.plan.configuration import FILES

REPOSITORY = Path(__file__).resolve().parents[3]
YAML = sorted({*FILES, *(REPOSITORY / "workflow").rglob("*.yaml")})
RULES = [REPOSITORY / "Snakefile", REPOSITORY / "workflow/Snakefile", *sorted((REPOSITORY / "workflow").rglob("*.smk"))]


def named(path):
    return str(path.relative_to(REPOSITORY))


# -- YAML --------------------------------------------------------------------------------------------------


def shared(text):
    """The lines of a YAML text with an anchor, an alias or a merge key."""
    found = []
    for event in yaml.parse(text):
        is_merge = isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]
        if getattr(event, "anchor", None) is not None or is_merge:
            found.append(event.start_mark.line + 1)
    return found


def test_files_of_configuration_are_there():
    assert set(FILES) <= set(YAML)
    assert {"tables", "presets", "local", "slurm"} <= {path.parent.name for path in YAML}


@pytest.mark.parametrize("path", YAML, ids=named)
def test_configuration_has_no_anchor_alias_or_merge_key(path):
    assert shared(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a: &x 1\nb: *x\n", [1, 2]),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", [1, 3, 3]),
        ("a:\n  - &x\n    - 1\n", [2]),
        ("<<: {a: 1}\n", [1]),
        ("a: '&x'\nb: \"*x\"\nc: '<<'\n# &x *x <<\nd: a &x *y <<\n", []),
    ],
)
def test_anchors_aliases_and_merge_keys_are_seen(text, lines):
    assert shared(text) == lines


def test_the_configuration_is_short():
    lines = (REPOSITORY / "config.yaml").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 300
    assert [i for i, line in enumerate(lines, 1) if len(line) > 120] == []


# -- rules -------------------------------------------------------------------------------------------------


def functions(text):
    """(name, lines) of each function of a file of rules: its code from `def` to its last line."""
    lines = text.splitlines()
    for i, line in enumerate(lines):
        start = re.match(r"(\s*)def (\w+)\(", line)
        if start:
            end, more = i, rf"{start[1]}[)\]}}]|{start[1]}\s+\S|\s*$"  # also the line that closes the arguments
            while end + 1 < len(lines) and re.match(more, lines[end + 1]):
                end += 1
            yield start[2], len("\n".join(lines[i : end + 1]).rstrip().splitlines())


@pytest.mark.parametrize("path", RULES, ids=named)
def test_functions_beside_rules_have_at_most_ten_lines(path):
    text = path.read_text(encoding="utf-8")
    assert len(re.findall(r"^\s*def ", text, re.MULTILINE)) == len(list(functions(text)))
    assert {name: length for name, length in functions(text) if length > 10} == {}


def test_lines_of_functions_are_counted():
    text = """\
def a(w):
    return 1


rule b:
    x
def c(
    w,
):
    y

    z

# no
class D:
    def e(self):
        y
"""
    assert dict(functions(text)) == {"a": 2, "c": 6, "e": 2}


def test_the_rules_of_tables_are_short():
    assert len((REPOSITORY / "workflow/rules/tables.smk").read_text(encoding="utf-8").splitlines()) <= 80


# -- what parsing loads --------------------------------------------------------------------------------------


def imports():
    """The import statements of the Snakefile and the files that it includes, apart from Snakemake's own."""
    found = set()
    for path in RULES:
        for statement in re.findall(r"^(?:from|import) .*(?:\((?:[^)]|\n)*\))?", path.read_text("utf-8"), re.MULTILINE):
            if "snakemake" not in statement:
                ast.parse(statement)
                found.add(statement)
    return sorted(found)


PARSE = """
import json, sys
{imports}
from cellscaper.plan.configuration import configuration
from cellscaper.plan.figures import Figures
from cellscaper.plan.outputs import Outputs

figures = Figures(Outputs(configuration({{}})))
files = figures.run_files() + figures.galleries()
for dataset in figures.config["run"]["datasets"]:
    figures.gallery(dataset)
for name in figures.config["tables"]:
    figures.tables.section(name)
print(json.dumps([len(files), sorted(sys.modules)]))
"""


def test_planning_loads_no_method_and_nothing_heavy():
    """A job of a cluster parses the workflow again: it must not wait for torch."""
    statements = imports()
    assert [one for one in statements if "cellscaper.plan" in one]
    code = PARSE.format(imports="\n".join(statements))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    number, modules = json.loads(run.stdout.splitlines()[-1])
    assert number > 100
    kinds = ("generators", "metrics", "detectors", "painters", "features", "density", "datasets")
    folders = tuple(f"cellscaper.{kind}" for kind in kinds)
    assert [name for name in modules if name.startswith(folders)] == []
    assert {"torch", "pydantic", "numpy", "h5py", "cellscaper.plan.structure"} & set(modules) == set()


# -- code --------------------------------------------------------------------------------------------------


def test_few_lines_of_code_take_an_open_mapping():
    """What has a shape has a type: `dict[str, Any]` and `Mapping[str, Any]` stand where a section enters."""
    code = [line for path in (REPOSITORY / "src").rglob("*.py") for line in path.read_text("utf-8").splitlines()]
    assert 0 < sum(bool(re.search(r"(dict|Mapping)\[str, Any\]", line)) for line in code) <= 40


def test_stages_are_short():
    stages = [path for path in (REPOSITORY / "src/cellscaper/stages").glob("*.py") if path.stem != "__init__"]
    lines = {path.name: len(path.read_text("utf-8").splitlines()) for path in stages}
    assert lines and {name: n for name, n in lines.items() if n > 60} == {}
