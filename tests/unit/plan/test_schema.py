"""Defaults that planning fills in; the generated schema and facts are those of the methods and their files."""

import copy
from pathlib import Path
from types import SimpleNamespace

import pytest

from cellscaper.errors import CellscaperError
from cellscaper.plan.configuration import given
from cellscaper.plan.schema import SCHEMAS, facts, filled, schema
from cellscaper.run.begins import Begins
from cellscaper.run.methods import load
from scripts import script

REPOSITORY = Path(__file__).resolve().parents[3]

KINDS = {
    "choose": "kind",
    "properties": {"kind": {"enum": ["a", "b"]}},
    "default": {"kind": "a", "x": 1},
    "allOf": [
        {"if": {"properties": {"kind": {"const": "a"}}}, "then": {"properties": {"kind": {}, "x": {"default": 5}}}},
        {"if": {"properties": {"kind": {"const": "b"}}}, "then": {"properties": {"kind": {}, "y": {"default": 2}}}},
    ],
}


@pytest.mark.parametrize(
    ("node", "value", "expected"),
    [
        ({"properties": {"x": {"default": 1}}}, {}, {"x": 1}),
        ({"properties": {"x": {"default": 1}}}, {"x": None}, {"x": None}),
        ({"properties": {"x": {}}}, {}, {}),
        ({"properties": {"x": {"default": 1}}}, {"z": 3}, {"x": 1, "z": 3}),
        ({"properties": {"m": {"properties": {"x": {"default": 1}}}}}, {}, {}),
        ({"properties": {"m": {"default": {}, "properties": {"x": {"default": 1}}}}}, {}, {"m": {"x": 1}}),
        ({"properties": {"m": {"default": {"x": 2}, "properties": {"x": {"default": 1}}}}}, {}, {"m": {"x": 2}}),
        ({"properties": {"m": {"default": {"x": 2, "w": 3}}}}, {"m": {"x": 4}}, {"m": {"x": 4, "w": 3}}),
        ({"additionalProperties": {"properties": {"x": {"default": 1}}}}, {"n": {}, "k": 5}, {"n": {"x": 1}, "k": 5}),
        ({"properties": {"x": {"default": 1}}}, 7, 7),
        ({"properties": {"x": {"default": [1]}}}, None, None),
        (KINDS, {}, {"kind": "a", "x": 1}),
        (KINDS, {"kind": "a"}, {"kind": "a", "x": 1}),
        (KINDS, {"kind": "b"}, {"kind": "b", "y": 2}),
        (KINDS, {"kind": "b", "x": 3}, {"kind": "b", "y": 2, "x": 3}),
        (KINDS, {"kind": "b", "z": 3}, {"kind": "b", "y": 2, "z": 3}),
        (KINDS, {"x": 3}, {"kind": "a", "x": 3}),
        (KINDS, {"y": 3}, {"kind": "a", "x": 1, "y": 3}),
        (KINDS, {"kind": "c", "x": 3}, {"kind": "c", "x": 3}),
        (KINDS, {"kind": ["a"]}, {"kind": ["a"]}),
    ],
)
def test_defaults_are_filled_in_and_keys_of_another_kind_stay_to_be_refused(node, value, expected):
    before = copy.deepcopy((node, value))
    found = filled(node, value)
    assert found == expected
    if isinstance(found, dict):
        found["new"] = 1
        for inner in found.values():
            if isinstance(inner, dict):
                inner["new"] = 1
    assert (node, value) == before


def choices(node):
    """Every node below that has a key which chooses the others."""
    if isinstance(node, dict):
        if "choose" in node:
            yield node
        for value in node.values():
            yield from choices(value)
    elif isinstance(node, list):
        for value in node:
            yield from choices(value)


def test_every_kind_that_can_be_chosen_has_its_keys():
    found = list(choices(schema()))
    assert {node["choose"] for node in found} == {"reader", "method", "generator", "kind"}
    for node in found:
        key = node["choose"]
        kinds = [branch["if"]["properties"][key]["const"] for branch in node["allOf"]]
        assert kinds == node["properties"][key]["enum"]
        assert node["required"] == [key] and all(branch["if"]["required"] == [key] for branch in node["allOf"])
        assert all(branch["then"]["additionalProperties"] is False for branch in node["allOf"])
        assert all(key in branch["then"]["properties"] for branch in node["allOf"])
    kinds = {kind for node in found if node["choose"] == "kind" for kind in node["properties"]["kind"]["enum"]}
    conditions = {"none", "count_category", "class_counts"}
    assert kinds == conditions | {"markers", "distance", "cross_attention"} | {"windows", "categories"}


def test_every_key_has_a_description():
    def silent(node, path):
        if isinstance(node, dict):
            for key, child in node.get("properties", {}).items():
                if child and not child.get("description") and not {"properties", "allOf"} & set(child):
                    yield ".".join([*path, key])
            for key, child in node.items():
                yield from silent(child, path if key == "properties" else [*path, key])
        elif isinstance(node, list):
            for i, child in enumerate(node):
                yield from silent(child, [*path, str(i)])

    assert [one for one in silent(schema(), []) if ".if." not in one and not one.startswith("if.")] == []


@pytest.fixture(scope="module")
def generate():
    """workflow/schemas/generate.py."""
    return script("workflow/schemas/generate.py")


@pytest.fixture(scope="module")
def made(generate):
    """The texts that workflow/schemas/generate.py would write."""
    return generate.made()


def test_schema_and_facts_are_those_of_the_methods(made):
    assert sorted(made) == ["config.schema.json", "methods.json"]
    for name, text in made.items():
        assert (SCHEMAS / name).read_text(encoding="utf-8") == text, (
            f"settings of a method changed: run `python workflow/schemas/generate.py` ({name} differs)"
        )


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        (("adm", "loses", "after"), "BEGINS names loses.after, no block with such a key"),
        (("adm", "losses", "until"), "BEGINS names losses.until, no block with such a key"),
        (("adm", "network", "channels"), "BEGINS names adm, which must .* have the same settings but network"),
        (("random", "losses", "after"), "BEGINS names random, which must be trained"),
        (("topocellgen", "losses", "after"), "BEGINS names topocellgen, which must be trained, have no BEGINS"),
    ],
)
def test_a_generator_that_begins_as_no_other_one_can_is_refused(generate, fact, words):
    module = SimpleNamespace(Settings=load("generators", "topocellgen").Settings, BEGINS=Begins(*fact))
    with pytest.raises(CellscaperError, match=rf"^generators/mine.py: {words}"):
        generate.begins("mine", module)
    assert generate.begins("adm", load("generators", "adm")) is None


def test_planning_sees_that_a_module_differs_from_the_one_that_the_schema_was_made_from(monkeypatch):
    given({}, {}, [])
    for module in ("plan.structure", "generators.protocol", "diffusion.settings"):
        with monkeypatch.context() as patched:
            patched.setitem(facts()["modules"], f"cellscaper.{module}", "0" * 12)
            with pytest.raises(CellscaperError, match=rf"^cellscaper/{module.replace('.', '/')}.py .*`make schema`"):
                given({}, {}, [])


def test_every_method_is_in_the_facts_and_the_schema(made):
    folders = {"generators": "experiments", "painters": "painters", "detectors": "detectors", "features": "features"}
    folders |= {"density": "densities", "datasets": "datasets"}
    for folder, section in folders.items():
        files = (REPOSITORY / "src/cellscaper" / folder).glob("*.py")
        methods = {file.stem for file in files if "\nclass Settings(" in file.read_text(encoding="utf-8")}
        node = schema()["properties"][section]["additionalProperties"]
        assert set(node["properties"][node["choose"]]["enum"]) == methods, folder
    assert set(facts()["generators"]) == set(
        schema()["properties"]["experiments"]["additionalProperties"]["properties"]["generator"]["enum"]
    )
    assert {one["metric"] for one in facts()["columns"].values()} <= {
        file.stem for file in (REPOSITORY / "src/cellscaper/metrics").glob("*.py")
    }
