"""A results folder of a toy table with two seeds, for the origins of its numbers and for its crate."""

import pytest

from cellscaper.disk.score_file import write_scores
from cellscaper.plan.origins import Job, Origin
from cellscaper.report.pages import origins as pages
from cellscaper.report.pages.origins import panels
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


@pytest.fixture
def made(run):
    """The panels of the table."""
    folder, frame, origins = run
    return panels(frame, "toy", "t", origins, folder, {})
