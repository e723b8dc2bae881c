"""The origin of each number of a table: the scores of each seed, the files, logs and commits behind them."""

from cellscaper.report.pages.origins import cell_id, linked_files, panels


def test_each_number_has_the_values_of_its_seeds_with_more_digits(made):
    (panel,) = made
    assert [(line.column, line.score, line.key, line.values) for line in panel.lines] == [
        ("TCE", "tce", "metrics.counts", ["1.2346", "2.0000"]),
        ("CCE x", "cce x", "metrics.counts", ["2.4691", "4.0000"]),
        ("CCE y", "cce y", "metrics.counts", ["3.7037", "6.0000"]),
    ]
    assert [line.id for line in panel.lines] == [cell_id("toy", "t", "a", k) for k in range(3)]
    assert dict(panel.facts)["configuration"] == "tables.t.rows.a, experiments.own, seeds"


def test_its_jobs_have_their_files_logs_and_commits_relative_to_the_page(made):
    (panel,) = made
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


def test_a_row_that_was_not_run_has_no_origin(made):
    assert [panel.title for panel in made] == ["A"]
