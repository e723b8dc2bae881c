import math

import pytest

from cellscaper.errors import CellscaperError
from cellscaper.report.pages.job_times import JobTime, by_rule, duration, job_times, times_note


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (12.4, "12 s"),
        (59.7, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3600, "1 h 0 min"),
        (18_600, "5 h 10 min"),
        (183_600, "2 d 3 h"),
        (math.nan, "–"),
    ],
)
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text


def benchmark(folder, name, seconds, cpu, memory):
    file = folder / "toy" / "benchmarks" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    head = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    file.write_text(f"{head}{seconds}\t0:00:00\t{memory}\t1\t1\t1\t0\t0\t0\t{cpu}\n")


def test_times_are_read_from_the_benchmarks_by_rule(tmp_path):
    benchmark(tmp_path, "read_cells.tsv", 2.0, 1.5, 100)
    benchmark(tmp_path, "train_layout/adm-seed0.tsv", 50.0, 49.0, 500)
    benchmark(tmp_path, "train_layout/adm-seed1.tsv", 60.0, 58.0, "-")
    benchmark(tmp_path, "tables/t1.tsv", 1.0, 0.5, 80)
    benchmark(tmp_path, "tables/t1-picture.tsv", 3.0, 2.5, 90)
    benchmark(tmp_path, "figures/counts-tc.tsv", 1.0, 1.0, 90)
    benchmark(tmp_path, "figures/images/adm-points.tsv", 1.0, 1.0, 90)
    benchmark(tmp_path, "figures/train_layout.tsv", 1.0, 1.0, 90)
    times = job_times(tmp_path, ["toy"])
    assert {job.rule for job in times} == {
        "read_cells", "train_layout", "make_tables", "draw_table", "draw_counts", "draw_images", "draw_training",
    }  # fmt: skip
    rows = by_rule(times)
    assert rows[0].rule == "train_layout" and rows[0].jobs == 2
    assert (rows[0].cpu, rows[0].seconds, rows[0].longest, rows[0].memory) == (107.0, 110.0, 60.0, 500.0)
    assert next(job.name for job in times if job.seconds == 60) == "toy/adm-seed1"


def test_a_file_that_is_no_benchmark_is_refused(tmp_path):
    benchmark(tmp_path, "read_cells.tsv", 2.0, 1.5, 100)
    (tmp_path / "toy/benchmarks/read_cells.tsv").write_text("nothing\n")
    with pytest.raises(CellscaperError, match="is no benchmark file"):
        job_times(tmp_path, ["toy"])


def test_jobs_without_a_measure_count_as_nothing():
    row = by_rule([JobTime("r", "a", 1.0, math.nan, math.nan)])[0]
    assert (row.cpu, row.memory) == (0.0, 0.0)


def test_the_note_adds_up_all_jobs():
    jobs = [JobTime("r", "a", 60, 30, 1), JobTime("r", "b", 30, 30, 1), JobTime("s", "c", 30, 60, 1)]
    assert times_note(by_rule(jobs)).startswith("3 jobs took 2 min 0 s of CPU time, and 2 min 0 s of wall time")
