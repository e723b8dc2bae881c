"""The pages in docs/ say what is so: the configuration page is made from the schema, examples run."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.spatial import cKDTree

from cellscaper.generators import random
from cellscaper.generators.protocol import Request
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics.protocol import Comparison
from cellscaper.plan.configuration import configuration
from cellscaper.plan.experiments import Experiments
from cellscaper.plan.schema import schema
from cellscaper.plan.tables import Tables
from scripts import script

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def maker():
    return script("docs/make_config.py")


@pytest.fixture(scope="module")
def page():
    return (DOCS / "config.md").read_text(encoding="utf-8")


def test_the_configuration_page_is_up_to_date(maker, page):
    assert page == maker.page(), "config.yaml or its schema changed: run `python docs/make_config.py`"


def test_the_page_beside_the_catalogs_configuration_is_up_to_date(maker):
    assert maker.FIRST_PAGE.read_text(encoding="utf-8") == maker.first_page(), "run `python docs/make_config.py`"


def test_every_key_says_what_it_means(maker):
    silent = [line for line in maker.page().splitlines() if re.fullmatch(r"\| .*`.*\|  \|", line)]
    assert silent == [], "give the key a description in its Settings, in plan/structure.py or schemas/generate.py"


def test_every_key_of_the_schema_is_on_the_page(page):
    keys = set()

    def walk(node):
        if isinstance(node, dict):
            for key, child in node.get("properties", {}).items():
                if child.get("properties") != {}:  # a metric that has nothing to choose
                    keys.add(key)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(schema())
    assert len(keys) > 100
    assert [key for key in keys if not re.search(rf"\b{key}\b", page)] == []


def rows(page, heading):
    """{key: (allowed, value, meaning)} below a heading of the page, the italics of keys taken off."""
    part = page.split(f"\n{heading}\n")[1].split("\n#")[0]
    cells = [re.split(r" (?<!\\)\| ", line.strip("| ")) for line in part.splitlines() if line.startswith("| ")]
    return {cell[0].strip("`*"): tuple(cell[1:]) for cell in cells[1:]}


def test_methods_share_the_rows_of_equal_keys_and_have_the_others_below_their_own_heading(page):
    maps = rows(page, "### experiments: generator adm, spatial_diffusion, topocellgen")
    assert maps["settings.diffusion.schedule"][:2] == (
        "linear \\| cosine",
        "adm, topocellgen: `cosine`; spatial_diffusion: `linear`",
    )
    assert maps["settings.network.channels"][1] == "`256`" and "settings.losses.after" not in maps
    assert set(rows(page, "### experiments: every generator")) == {"base", "field"}
    assert "settings.losses.after" in rows(page, "### experiments: generator topocellgen")
    assert set(rows(page, "### experiments: generator retrieval")) == {
        "settings.repair",
        "settings.min_distance",
    }
    assert "settings.window_stride" in rows(page, "### experiments: generator pattern_reconstruction, retrieval")


def test_every_key_of_every_method_stands_below_one_heading_that_names_it(page):
    for section, node in schema()["properties"].items():
        inner = node.get("additionalProperties")
        if not isinstance(inner, dict) or "choose" not in inner:
            continue
        key, headings = inner["choose"], re.findall(rf"^### {section}: (.*)$", page, re.MULTILINE)
        for branch in inner["allOf"]:
            kind, found = branch["if"]["properties"][key]["const"], []
            for heading in headings:
                if heading == f"every {key}" or kind in heading.removeprefix(f"{key} ").split(", "):
                    found += rows(page, f"### {section}: {heading}")
            wanted = {
                name for name, child in branch["then"]["properties"].items() if child.get("properties", 1) and child
            }
            assert {one.split(".")[0] for one in found} - {"base"} == wanted, (section, kind)
            assert len(found) == len(set(found)), (section, kind)


def test_keys_that_must_be_given_are_upright_and_values_are_the_papers_or_the_default(page):
    assert "\n| `field` | text |" in page and "\n| *`training.steps`* | whole number ≥ 1 |" in page
    assert rows(page, "## metrics")["detection.radius"][1] == "`6`"
    assert rows(page, "## grids")["stride"][1] == "*entries differ*, default `1`"
    assert rows(page, "### datasets: reader lizard")["split.random.test_fraction"][1] == "`0.2`"
    painter = rows(page, "### painters: method diffusion")
    assert painter["condition.kind"][1] == "*entries differ*, default `markers`"
    assert painter["condition.width"][1] == "`256`"  # of the painters with this kind
    assert painter["network.blocks"][1] == "`2`"
    assert painter["network.channels"][1] == "*entries differ*, default `192`"
    maps = rows(page, "### experiments: generator adm, spatial_diffusion, topocellgen")
    assert (
        maps["condition.kind"][1]
        == "adm, spatial_diffusion: *entries differ*, default `none`; topocellgen: `class_counts`"
    )
    assert maps["grid"][1] == "*entries differ*"  # most take the field's
    assert painter["condition.reach"][2].startswith("condition.kind distance: px")


# -- docs/add-a-generator.md -----------------------------------------------------------------------------------


def blocks(language, page="add-a-generator.md"):
    text = (DOCS / page).read_text(encoding="utf-8")
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

    def place(generate, settings, targets, seeds):
        return generate(Request(targets, seeds, settings, targets, region=400)).sets["points"]

    page = namespace["generate"], namespace["Settings"]()
    made = place(*page, targets, [3, 4, 5])  # a LayoutSet checks that cells lie inside
    assert np.array_equal(made.counts(), targets.counts()) and made.columns["target"].tolist() == [0, 1, 2]
    again = place(*page, targets[1:], [4, 5])
    assert all(np.array_equal(made.layout(i + 1).points, again.layout(i).points) for i in range(2))
    uniform = place(random.generate, random.Settings(), targets, [3, 4, 5])

    def gap(layouts):
        return np.median(cKDTree(layouts.layout(2).points).query(layouts.layout(2).points, 2)[0][:, 1])

    assert gap(made) < gap(uniform)


# -- docs/add-a-metric.md --------------------------------------------------------------------------------------


def test_the_metric_of_the_page_counts_crowded_cells():
    source = blocks("python", "add-a-metric.md")[0]
    assert source.count("\n") <= 32
    namespace = {}
    exec(compile(source, "crowded.py", "exec"), namespace)
    assert namespace["COLUMNS"].keys() == {"crowded"}
    rng = np.random.default_rng(0)

    def sample(*counts):
        each = [Layout(rng.uniform(0, 100, (n, 2)), rng.integers(0, 2, n), (100, 100)) for n in counts]
        return LayoutSet.build(each, ("a", "b"), 0.5)

    def crowded(layouts):
        near = 0
        for one in layouts:
            apart = np.linalg.norm(one.points[:, None] - one.points[None], axis=2) + 1e9 * np.eye(len(one))
            near += int((apart.min(axis=1, initial=1e9) <= 12).sum())
        return near / layouts.counts().sum()

    made, real = sample(0, 1, 30, 12), sample(20, 5)
    found = namespace["score"](Comparison(real, made, real, real, "points"), namespace["Settings"]())
    assert found == {"crowded": {"total": pytest.approx(abs(crowded(made) - crowded(real)))}}
    assert np.isnan(namespace["share"](sample(0), 12.0))


def test_the_table_of_the_metrics_page_has_the_rows_of_the_other_and_no_paper():
    own = yaml.safe_load(blocks("yaml", "add-a-metric.md")[0])
    own["tables"]["mine"]["columns"] = [{"metric": "tce"}]  # the page's own score is not in the schema here
    config = configuration(own)
    assert config["tables"]["mine"]["rows"] == config["tables"]["tc_table1"]["rows"]
    assert {"tc_table1", "mine"} <= set(config["run"]["tables"])
    section = Tables(Experiments(config)).section("mine")
    assert [column["metric"] for column in section["columns"]] == ["tce"]
    assert "source" not in section and "values" not in section


@pytest.mark.parametrize(("page", "file"), [("generator", "generators/clustered"), ("metric", "metrics/crowded")])
def test_the_code_of_the_pages_is_as_clean_as_ours(page, file):
    (source,) = blocks("python", f"add-a-{page}.md")
    name = ["--stdin-filename", f"src/cellscaper/{file}.py", "-"]
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, *name]
        ended = subprocess.run(ruff, input=source, cwd=DOCS.parent, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
