"""`cellscaper paint` on a folder of simulated tissue: pairs beside each other, a stop and a fresh start, bad input."""

import json
import multiprocessing
import shutil
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cellscaper import cli
from cellscaper.datasets import phantom
from cellscaper.disk import export
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.painters.quilting import pairs

CLASSES = ("lymphocyte", "epithelial", "stromal")
SETTINGS = phantom.Settings(images=phantom.Images(train=2, val=1, test=1), size=(128, 120), seed=3)


@pytest.fixture(scope="session")
def records():
    return list(phantom.read(SETTINGS, None))


@pytest.fixture
def folder(records, tmp_path, monkeypatch):
    """A folder of images and CSV files; the working folder has three layouts of 60 px beside it."""
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "mine"
    made.mkdir()
    for one in records:
        Image.fromarray(one.image).save(made / f"{one.image_id}.png")
        rows = zip(one.points.tolist(), one.labels.tolist(), strict=True)
        text = "y,x,class\n" + "".join(f"{y},{x},{CLASSES[k]}\n" for (y, x), k in rows)
        (made / f"{one.image_id}.csv").write_text(text, encoding="utf-8")
    write(layouts())
    return made


def layouts(n=3, classes=CLASSES, mpp=0.5):
    rng = np.random.default_rng(0)
    made = []
    for _ in range(n):
        labels = rng.integers(0, len(classes), 8).astype(np.uint8)
        made.append(Layout(rng.uniform(0, 60, (8, 2)).astype(np.float32), labels, (60, 60)))
    return LayoutSet.build(made, classes, mpp)


def write(made, name="layouts.h5"):
    export.write(Path(name), made, {})


def call(*words, out="images"):
    cli.call(["paint", "layouts.h5", "--from", "mine", "-o", out, "--mpp", "0.5", "--threads", "1", *words])


def contents(out):
    return {file.name: file.read_bytes() for file in Path(out).iterdir()}


def test_each_image_has_its_cells_beside_it(folder, capfd):
    call("--format", "geojson,csv,coco")
    names = sorted(one.name for one in Path("images").iterdir())
    assert names == sorted(
        ["paint.json", *(f"image000{i}.{end}" for i in range(3) for end in ("png", "geojson", "csv", "json"))]
    )
    wanted = layouts()
    for i in range(3):
        for ending in ("geojson", "csv", "json"):
            read = export.read(Path(f"images/image000{i}.{ending}"))
            assert np.array_equal(read.points, wanted.layout(i).points) and read.classes == CLASSES
        with Image.open(f"images/image000{i}.png") as image:
            assert image.size == (60, 60) and image.mode == "RGB"
            assert "copies of the training images" in image.text["Comment"]
    told = capfd.readouterr().err
    assert "4 training images (no lists: all images)" in told
    assert "The pixels are copies of the training images" in told
    assert "copies" in json.loads(Path("images/paint.json").read_text(encoding="utf-8"))["note"]


def test_help_says_that_pixels_are_copies(capsys):
    with pytest.raises(SystemExit):
        cli.call(["paint", "--help"])
    assert "not synthetic data to share" in capsys.readouterr().out


def test_only_training_images_are_used_if_there_are_lists(folder, records, capfd):
    for split in ("train", "val", "test"):
        names = "\n".join(one.image_id for one in records if one.split == split)
        (folder / f"{split}.txt").write_text(names, encoding="utf-8")
    call()
    assert "2 training images (lists train.txt, val.txt, test.txt), 2 others left out" in capfd.readouterr().err


def test_a_stopped_command_goes_on(folder, monkeypatch, capfd):
    call(out="whole")
    paint_one, done = pairs.paint_one, []

    def stopping(*args):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(args)
        return paint_one(*args)

    monkeypatch.setattr(pairs, "paint_one", stopping)
    with pytest.raises(KeyboardInterrupt):
        call()
    assert len(list(Path("images").glob("*.png"))) == 2
    monkeypatch.setattr(pairs, "paint_one", paint_one)
    call()
    assert "images: going on after 2 of 3" in capfd.readouterr().err
    assert contents("images") == contents("whole")


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_the_same_files(folder):
    write(layouts(12))
    call(out="whole")
    fork = multiprocessing.get_context("fork")
    for wait in (1.0, 1.5, 2.0):
        child = fork.Process(target=partial(call, "--seed", "0"))
        child.start()
        time.sleep(wait)
        child.kill()
        child.join()
        assert not {file.stem for file in Path("images").glob("*.png")} - {f"image{i:04}" for i in range(12)}
    call()
    assert contents("images") == contents("whole")


def test_another_request_does_not_mix_with_the_images_of_the_first(folder):
    call()
    before = contents("images")
    with pytest.raises(
        CellscaperError, match="images holds images of other layouts, sources or settings; name another"
    ):
        call("--seed", "1")
    assert contents("images") == before
    Path("images/paint.json").unlink()
    with pytest.raises(CellscaperError, match="images holds other images; name another folder"):
        call()


def refused(*words):
    with pytest.raises(CellscaperError) as error:
        call(*words)
    assert not Path("images").exists()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_classes_that_the_folder_lacks(folder):
    write(layouts(classes=("lymphocyte", "epithelial", "plasma")))
    told = refused()
    assert told.startswith("the layouts have cells of class plasma, the folder ")
    assert told.endswith(
        "has epithelial, lymphocyte, stromal; name its classes alike with --classes CLASS-IN-THE-FILES=NAME,…"
    )
    few = layouts(classes=("lymphocyte", "epithelial"))
    write(few)
    call()  # fewer classes than the folder's are no fault
    assert export.read(Path("images/image0000.geojson")).classes[:2] == ("lymphocyte", "epithelial")


def test_capitals_do_not_part_classes_from_the_folders(folder):
    write(layouts(classes=("Lymphocyte", "EPITHELIAL")))
    call()
    assert export.read(Path("images/image0000.geojson")).classes[:2] == ("Lymphocyte", "EPITHELIAL")


def test_a_folder_with_one_image(folder, records):
    for one in records[1:]:
        (folder / f"{one.image_id}.png").unlink()
    call()
    assert len(list(Path("images").glob("*.png"))) == 3


def test_images_that_cannot_be_sources(folder, records, capsys):
    first = folder / f"{records[0].image_id}.png"
    whole = Image.open(first).convert("RGB")
    pixels = np.asarray(whole)
    clear = np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 100, np.uint8)], axis=2)
    Image.fromarray(clear, "RGBA").save(first)
    assert "is partly transparent, expected opaque RGB" in refused()
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 256).save(first)
    call()
    assert f"! 1 image is not used ({first.name}): not 8-bit RGB" in capsys.readouterr().err
    shutil.rmtree("images")
    for one in records:
        Image.fromarray(one.image[:40, :40]).save(folder / f"{one.image_id}.png")
        (folder / f"{one.image_id}.csv").write_text(
            "y,x,class\n5,5,epithelial\n9,9,stromal\n7,20,lymphocyte\n", "utf-8"
        )
    assert "of 4 training images none holds a patch of 65×65 px (the largest is 40 px)" in refused()


def test_dots_outside_their_image(folder, records):
    (folder / f"{records[0].image_id}.csv").write_text("y,x,class\n5,500,epithelial\n", encoding="utf-8")
    assert "1 dot lies outside the images, first y=" in refused()


def test_dots_that_miss_the_nuclei(folder, records, capfd):
    for one in records:
        inside = one.points.max(axis=1) < min(one.image.shape[:2])
        rows = zip(one.points[inside].tolist(), one.labels[inside].tolist(), strict=True)
        text = "y,x,class\n" + "".join(f"{x},{y},{CLASSES[k]}\n" for (y, x), k in rows)
        (folder / f"{one.image_id}.csv").write_text(text, encoding="utf-8")
    assert "do not lie on nuclei, and with y and x swapped they do" in refused()
    call("--unit", "px")
    assert Path("images/image0002.png").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--format", "xml"], "--format 'xml': expected some of geojson, csv, coco"),
        (["--seed", "a"], "--seed 'a': expected a whole number from 0"),
        (["--classes", "x"], "--classes 'x': expected CLASS-IN-THE-FILES=NAME, each once, with commas between"),
    ],
)
def test_options(folder, words, told):
    assert refused(*words) == told


def test_paths_that_are_not_there(folder):
    with pytest.raises(CellscaperError, match="LAYOUTS none.h5: there is no such file"):
        cli.call(["paint", "none.h5", "--from", "mine", "-o", "images"])
    with pytest.raises(CellscaperError, match="--from none is not a folder; name one"):
        cli.call(["paint", "layouts.h5", "--from", "none", "-o", "images"])
    with pytest.raises(CellscaperError, match="-o none/images: expected a folder, or the name of a new one"):
        cli.call(["paint", "layouts.h5", "--from", "mine", "-o", "none/images"])


def test_empty_layouts_and_another_scale(folder):
    nothing = Layout(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), (40, 50))
    write(LayoutSet.build([nothing], CLASSES, 0.4))
    call()
    with Image.open("images/image0000.png") as image:
        assert image.size == (50, 40)


@pytest.mark.parametrize("out", ["mine", "mine/images", "."])
def test_painted_images_do_not_lie_among_real_ones(folder, out):
    before = sorted(folder.rglob("*"))
    with pytest.raises(CellscaperError, match="painted images would be read as real ones; name a folder beside it"):
        call(out=out)
    assert sorted(folder.rglob("*")) == before
