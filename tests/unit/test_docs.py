"""The pages in docs/ say what is so: the configuration page is made from schema and config, examples run."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.spatial import cKDTree

from cellscaper.generators.random import place as random_place
from cellscaper.layouts import Layout, LayoutSet

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("make_config", DOCS / "make_config.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_configuration_page_is_up_to_date(maker):
    written = (DOCS / "config.md").read_text(encoding="utf-8")
    assert written == maker.make(), "config.yaml or its schema changed: run `python docs/make_config.py`"


def test_every_key_says_what_it_means(maker):
    silent = [line for line in maker.make().splitlines() if re.fullmatch(r"\| .*`.*\|  \|", line)]
    assert silent == [], "give the key a comment in config.yaml or a $comment in the schema"


def test_comments_are_found_by_path_and_not_inside_quotes(maker):
    text = "a: 1  # one\nb:  # two\n  c: {d: 'x # y', e: 2}   # three\n  f: \"# no\"\n# own line\ng: '#'\n"
    assert maker.comments(text) == {("a",): "one", ("b",): "two", ("b", "c"): "three"}


def test_every_key_of_the_schema_is_on_the_page(maker):
    schema = yaml.safe_load((DOCS.parent / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))
    page = (DOCS / "config.md").read_text(encoding="utf-8")
    keys = set()

    def walk(node):
        if isinstance(node, dict):
            for key in node.get("properties", {}):
                keys.add(key)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(schema)
    assert len(keys) > 100
    assert [key for key in keys if not re.search(rf"\b{key}\b", page)] == []


# -- add-a-generator.md ----------------------------------------------------------------------------------------


def blocks(language):
    text = (DOCS / "add-a-generator.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_generator_of_the_page_places_what_is_asked_for():
    source = blocks("python")[0]
    assert source.count("\n") <= 30
    namespace = {}
    exec(compile(source, "clustered.py", "exec"), namespace)
    rng = np.random.default_rng(0)
    targets = LayoutSet.build(
        [Layout(rng.uniform(0, 400, (n, 2)), rng.integers(0, 3, n), (400, 480)) for n in (0, 7, 300)],
        ("a", "b", "c"),
        0.5,
    )
    made = namespace["place"](targets, {}, [3, 4, 5], targets)  # a LayoutSet checks that cells lie inside
    assert np.array_equal(made.counts(), targets.counts()) and made.columns["target"].tolist() == [0, 1, 2]
    again = namespace["place"](targets[1:], {}, [4, 5], targets)
    assert all(np.array_equal(made.layout(i + 1).points, again.layout(i).points) for i in range(2))
    uniform = random_place(targets, {}, [3, 4, 5], targets)

    def gap(layouts):
        return np.median(cKDTree(layouts.layout(2).points).query(layouts.layout(2).points, 2)[0][:, 1])

    assert gap(made) < gap(uniform)
