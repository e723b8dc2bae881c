"""The pages in docs/ say what is so: the configuration page is made from schema and config, examples run."""

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

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
