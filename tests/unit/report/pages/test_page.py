import base64
import io
import math
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from cellscaper.disk.storage import write_layouts
from cellscaper.disk.weights import write_weights
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.report.pages.page import by_rule, duration, load_captions, origin_rows, picture
from cellscaper.report.pages.run_facts import JobTime, Origin, job_times, origin


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


def test_a_picture_carries_its_pixels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    shown = picture(tmp_path / "a.png", "counts", "windows tc")
    head, data = shown.uri.split(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert np.array_equal(np.asarray(image), pixels)
    assert (shown.width, shown.height) == (30, 20)
    assert shown.title == "Cells in a layout: windows tc" and shown.alt.endswith("windows tc")


def test_tissue_is_compressed_and_looks_the_same(tmp_path):
    coarse = np.random.default_rng(0).integers(120, 250, (20, 20, 3), np.uint8)
    smooth = Image.fromarray(coarse).resize((400, 400), Image.Resampling.BICUBIC)
    grain = np.random.default_rng(1).normal(0, 3, (400, 400, 3))
    pixels = np.clip(np.asarray(smooth) + grain, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    head, data = picture(tmp_path / "a.png", "counts").uri.split(",")
    assert head == "data:image/jpeg;base64"
    assert len(data) < (tmp_path / "a.png").stat().st_size / 2
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert np.abs(np.asarray(image, float) - pixels).mean() < 3


def test_a_figure_of_an_unknown_kind_still_has_words_and_a_broken_one_is_refused(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    assert picture(tmp_path / "a.png", "new_kind").alt == "Figure: new kind."
    (tmp_path / "b.png").write_bytes(b"no png")
    with pytest.raises(CellscaperError, match=r"b\.png is not a readable PNG"):
        picture(tmp_path / "b.png", "counts")


def test_a_damaged_figure_is_told_in_one_line_or_shown_whole(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    for at in range(0, len(whole), 37):
        (tmp_path / "a.png").write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            picture(tmp_path / "a.png", "counts")
        except CellscaperError as error:
            assert "\n" not in str(error)


def test_every_caption_has_its_three_texts():
    for kind, words in load_captions().items():
        assert set(words) == {"title", "caption", "alt"} and all(words.values()), kind


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


def test_origin_counts_the_provenance_of_hdf5_and_weights(tmp_path):
    (tmp_path / "toy").mkdir()
    empty = Layout(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), (8, 8))
    layouts = LayoutSet.build([empty], ["a"], 0.5)
    about = {"git": "abc", "cellscaper": "1.0", "python": "3.11", "libraries": {"numpy": "2.0"}, "seed": 3}
    write_layouts(tmp_path / "toy/a.h5", layouts, about)
    write_weights(tmp_path / "toy/b.safetensors", {}, {**about, "git": "def", "seed": 1})
    found = origin(tmp_path, ["toy"])
    assert found.commits == {"abc": 1, "def": 1} and found.libraries["numpy"] == {"2.0": 2}
    assert found.seeds == [1, 3] and found.files == 2


def test_several_origins_are_told_with_their_numbers():
    found = Origin(Counter({"abc": 3, "def": 1}), Counter({"1.0": 4}), Counter({"3.11": 4}), {}, [0], 4)
    assert origin_rows(found) == [("cellscaper", "1.0"), ("commit", "abc (3 files), def (1 files)"), ("Python", "3.11")]


def test_jobs_without_a_measure_count_as_nothing():
    row = by_rule([JobTime("r", "a", 1.0, math.nan, math.nan)])[0]
    assert (row.cpu, row.memory) == (0.0, 0.0)
