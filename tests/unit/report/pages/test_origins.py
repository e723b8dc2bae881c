"""The origin of each number of a table: the scores of each seed, the files, logs and commits behind them."""

import json

import pandas as pd
import pytest

from cellscaper.disk.score_file import write_scores
from cellscaper.plan.origins import Job, Origin
from cellscaper.report.pages import origins as pages
from cellscaper.report.pages.crate import PROFILES, Run, crate
from cellscaper.report.pages.origins import cell_id, linked_files, panels
from cellscaper.report.tables.build import build, collect

TABLE = {
    "kind": "layouts",
    "rows": {"a": {"label": "A", "experiment": "shared"}, "b": {"label": "B", "experiment": None, "why": "not built"}},
    "columns": [
        {"metric": "tce", "label": "TCE", "lower": True},
        {"metric": "cce", "label": "CCE", "lower": True, "class": "*"},
    ],
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A results folder with the scores of two seeds, and the panels of its table."""
    jobs = []
    for seed, value in ((0, 1.23456), (1, 2.0)):
        for rule, name in (("sample_layouts", "layouts.h5"), ("score_layouts", "scores.csv")):
            file = tmp_path / f"toy/{rule}/shared/points/seed{seed}/{name}"
            log = tmp_path / f"toy/logs/{rule}/shared-points-seed{seed}.log"
            for one in (file, log):
                one.parent.mkdir(parents=True, exist_ok=True)
                one.write_text("x", encoding="utf-8")
            jobs.append(Job(rule, seed, str(file), str(log)))
        about = {"dataset": "toy", "experiment": "shared", "decoder": "points", "seed": seed}
        scores = {"tce": {"total": value}, "cce": {"x": 2 * value, "y": 3 * value}}
        write_scores(tmp_path / f"toy/score_layouts/shared/points/seed{seed}/scores.csv", about, scores, 10)
    monkeypatch.setattr(pages, "file_record", lambda file: {"git": "c0ffee" + "0" * 34})
    frame = build(TABLE, "toy", ["x", "y"], collect(sorted(tmp_path.rglob("scores.csv"))), {})
    origin = Origin("own", "shared", "points", ["tables.t.rows.a", "experiments.own", "seeds"], jobs)
    return tmp_path, frame, {("a", "points"): origin}


def made(run):
    folder, frame, origins = run
    return panels(frame, "toy", "t", origins, folder, {})


def test_each_number_has_the_values_of_its_seeds_with_more_digits(run):
    (panel,) = made(run)
    assert [(line.column, line.score, line.key, line.values) for line in panel.lines] == [
        ("TCE", "tce", "metrics.counts", ["1.2346", "2.0000"]),
        ("CCE x", "cce x", "metrics.counts", ["2.4691", "4.0000"]),
        ("CCE y", "cce y", "metrics.counts", ["3.7037", "6.0000"]),
    ]
    assert [line.id for line in panel.lines] == [cell_id("toy", "t", "a", k) for k in range(3)]
    assert dict(panel.facts)["configuration"] == "tables.t.rows.a, experiments.own, seeds"


def test_its_jobs_have_their_files_logs_and_commits_relative_to_the_page(run):
    (panel,) = made(run)
    assert [(job.rule, job.seed, job.file) for job in panel.jobs] == [
        ("sample_layouts", 0, "toy/sample_layouts/shared/points/seed0/layouts.h5"),
        ("score_layouts", 0, "toy/score_layouts/shared/points/seed0/scores.csv"),
        ("sample_layouts", 1, "toy/sample_layouts/shared/points/seed1/layouts.h5"),
        ("score_layouts", 1, "toy/score_layouts/shared/points/seed1/scores.csv"),
    ]
    assert panel.jobs[0].commit.startswith("c0ffee") and panel.jobs[1].commit == ""
    assert panel.jobs[1].log == "toy/logs/score_layouts/shared-points-seed0.log"
    assert len(linked_files([panel])) == 8


def test_a_score_file_that_is_there_no_more_leaves_its_values_empty(run):
    folder, frame, origins = run
    (folder / "toy/score_layouts/shared/points/seed1/scores.csv").unlink()
    (folder / "toy/logs/score_layouts/shared-points-seed1.log").unlink()
    (panel,) = panels(frame, "toy", "t", origins, folder, {})
    assert panel.lines[0].values == ["1.2346", "–"] and panel.jobs[-1].log == ""


def test_a_row_that_was_not_run_has_no_origin(run):
    assert [panel.title for panel in made(run)] == ["A"]
    assert isinstance(run[1], pd.DataFrame)


# -- the crate -----------------------------------------------------------------------------------------------------


@pytest.fixture
def graph(run):
    """The entities of the crate of the run, by id."""
    folder, _, _ = run
    for name in ("report.html", "crate/Snakefile", "crate/config.yaml", "toy/tables/t.csv", "toy/my figure.png",
                 "toy/fetch_dataset/manifest.json"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name, encoding="utf-8")
    text = crate(
        Run(
            folder,
            {"toy": "phantom"},
            "crate/Snakefile",
            "crate/config.yaml",
            "report.html",
            ["toy/tables/t.csv"],
            ["toy/my figure.png"],
            ["toy/fetch_dataset/manifest.json"],
            ["c0ffee"],
            "0.1.0",
            made(run),
        )
    )
    (folder / "ro-crate-metadata.json").write_text(text, encoding="utf-8")
    return {entity["@id"]: entity for entity in json.loads(text)["@graph"]}


def ids(value):
    return [one["@id"] for one in (value if isinstance(value, list) else [value])]


def test_every_entity_that_is_named_is_described_and_every_file_is_there(graph, run):
    named = {
        one for entity in graph.values() for key in ("hasPart", "object", "result", "isBasedOn", "input", "output",
        "mainEntity", "mentions", "instrument", "workExample", "programmingLanguage", "license") if key in entity
        for one in ids(entity[key])
    }  # fmt: skip
    assert named <= set(graph)
    files = [entity for entity in graph.values() if "File" in entity["@type"]]
    assert all((run[0] / entity.get("name", entity["@id"])).exists() or entity["@id"] == "crate/Snakefile"
               for entity in files)  # fmt: skip
    assert set(ids(graph["./"]["hasPart"])) == {entity["@id"] for entity in files}
    assert "toy/my%20figure.png" in graph


def test_the_way_from_a_table_to_layouts_is_in_the_crate(graph):
    scores = [f"toy/score_layouts/shared/points/seed{seed}/scores.csv" for seed in (0, 1)]
    assert ids(graph["toy/tables/t.csv"]["isBasedOn"]) == scores
    assert ids(graph[scores[1]]["isBasedOn"]) == ["toy/sample_layouts/shared/points/seed1/layouts.h5"]
    assert graph["toy/sample_layouts/shared/points/seed1/layouts.h5"]["version"].startswith("c0ffee")
    assert graph["#run"]["@type"] == "CreateAction" and ids(graph["#run"]["instrument"]) == ["crate/Snakefile"]
    assert "report.html" in ids(graph["#run"]["result"]) and "crate/config.yaml" in ids(graph["#run"]["object"])
    assert ids(graph["./"]["conformsTo"]) == PROFILES


def test_the_package_rocrate_reads_the_crate(graph, run):
    rocrate = pytest.importorskip("rocrate.rocrate", reason="the extra oracles is not installed")
    found = rocrate.ROCrate(run[0])
    assert found.mainEntity.id == "crate/Snakefile" and found.root_dataset["name"] == "cellscaper: toy"
    (action,) = (one for one in found.get_entities() if one.type == "CreateAction")
    assert {one.id for one in action["result"]} >= {"report.html", "toy/tables/t.csv"}
    assert len(found.data_entities) == len(ids(graph["./"]["hasPart"]))
