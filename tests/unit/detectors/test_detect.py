"""`cellscaper detect` with a small trained detector, the packing of detectors, and bad input."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cellscaper import cli
from cellscaper.datasets import dots
from cellscaper.detectors import decoupled, packaged, unet
from cellscaper.disk import export
from cellscaper.disk.files import checksum
from cellscaper.disk.storage import read_layouts, read_provenance
from cellscaper.disk.weights import read_weights, write_weights
from cellscaper.errors import CellscaperError
from cellscaper.metrics.detection import match

pytestmark = pytest.mark.slow  # the detector is trained for some seconds


@pytest.fixture
def folder(trained, scenes, tmp_path, monkeypatch):
    """A working folder with weights and two images of discs, a.png and b.png; their layouts."""
    monkeypatch.chdir(tmp_path)
    Path("model.safetensors").write_bytes(trained.read_bytes())
    images, layouts = scenes(range(20, 22), size=(150, 170), cells=60)
    for name, image in zip("ab", images, strict=True):
        Image.fromarray(image).save(f"{name}.png")
    return layouts


def call(*words, output="out.geojson", weights="model.safetensors", mpp="0.5"):
    own = ["--weights", weights] if weights else []
    scale = ["--mpp", mpp] if mpp else []
    cli.call(["detect", *words, "-o", output, "--threads", "1", *own, *scale])


def refused(*words, **options):
    with pytest.raises(CellscaperError) as error:
        call(*words, **options)
    assert "\n" not in str(error.value)
    made = {"out.geojson", ".out.geojson.partial"} & {file.name for file in Path(".").iterdir()}
    assert not made
    return str(error.value)


def share_found(layout, points):
    return len(match(layout.points, points, 3)) / len(layout)


# -- what it writes --------------------------------------------------------------------------------------------


def test_one_file_for_all_images_names_them(folder, capfd):
    call("a.png", "b.png")
    read = export.read(Path("out.geojson"))
    assert read.source.tolist() == ["a.png", "b.png"] and read.classes == ("a", "b", "c") and read.mpp == 0.5
    assert read.size.tolist() == [[150, 170]] * 2
    for one, truth in zip(read, folder, strict=True):
        assert share_found(truth, one.points) > 0.9 and abs(len(one) - len(truth)) < 0.1 * len(truth)
    features = json.loads(Path("out.geojson").read_text(encoding="utf-8"))["features"]
    assert [one["properties"]["image"] for one in features] == [read.source[i] for i in read.index]
    counts = read.counts()[0]
    line = f"a.png: {counts.sum()} cells ({counts[0]} a, {counts[1]} b, {counts[2]} c); 0.5 µm a pixel (given)"
    told = capfd.readouterr().err
    assert line in told and "tiles 2/2 done" in told


@pytest.mark.parametrize("ending", ["csv", "json", "h5", "h5ad", "napari.csv"])
def test_every_format_holds_the_same_cells(folder, ending):
    call("a.png", "b.png")
    call("a.png", "b.png", output=f"out.{ending}")
    one, two = export.read(Path("out.geojson")), export.read(Path(f"out.{ending}"))
    assert one == two
    if ending == "csv":
        rows = list(csv.DictReader(Path("out.csv").read_text(encoding="utf-8").splitlines()))
        assert [row["image"] for row in rows] == [one.source[i] for i in one.index]
    if ending == "json":
        images = json.loads(Path("out.json").read_text(encoding="utf-8"))["images"]
        assert [image["file_name"] for image in images] == ["a.png", "b.png"]
    if ending == "h5":
        said = read_provenance(Path("out.h5"))
        assert said["stage"] == "detect" and said["config"]["images"]["b.png"] == {"mpp": 0.5, "by": "given"}
        assert said["inputs"]["weights"]["sha256"] == checksum(Path("model.safetensors"))


def test_a_file_for_each_image(folder):
    Path("cells").mkdir()
    call("a.png", "b.png", output="cells/{image}.csv")
    call("a.png", "b.png")
    together = export.read(Path("out.geojson"))
    for i, name in enumerate("ab"):
        assert export.read(Path(f"cells/{name}.csv")) == together[i : i + 1]


def test_an_image_without_cells(folder):
    weights, facts = read_weights(Path("model.safetensors"))
    facts["section"]["settings"]["threshold"] = 1.0
    write_weights(Path("blind.safetensors"), weights, {}, **facts)
    for ending in ("csv", "geojson", "h5"):
        call("a.png", "b.png", weights="blind.safetensors", output=f"none.{ending}")
        read = export.read(Path(f"none.{ending}"))
        assert read.offsets.tolist() == [0, 0, 0] and read.source.tolist() == ["a.png", "b.png"]


@pytest.mark.parametrize("factor", [2.0, 0.8])
def test_places_are_in_the_images_own_pixels(folder, factor):
    """An image ``factor`` times as large has cells at the same places times ``factor``."""
    large = dots.rescaled_image(np.asarray(Image.open("a.png")), factor)
    Image.fromarray(large).save("large.png")
    call("large.png", mpp=f"{0.5 / factor}", output="large.h5")
    found = read_layouts(Path("large.h5"))
    assert found.size[0].tolist() == list(large.shape[:2]) and found.mpp == pytest.approx(0.5 / factor)
    wanted = dots.rescaled_points(folder.layout(0).points, (150, 170), large.shape[:2])
    assert len(match(wanted, found.points, 3 * factor)) > 0.85 * len(wanted)


def test_the_scale_is_read_from_header_name_or_folder(folder, capfd):
    picture = Image.open("a.png")
    picture.save("header.png", dpi=(25_400 / 0.5, 25_400 / 0.5))
    call("header.png", mpp=None)
    assert "0.5 µm a pixel (the image files say 0.5 µm a pixel)" in capfd.readouterr().err
    picture.save("tissue_20x.png")
    call("header.png", mpp="0.9")
    assert "! header.png: --mpp 0.9 is given, but the image files say 0.5 µm a pixel" in capfd.readouterr().err
    call("tissue_20x.png", mpp=None)
    assert "0.5 µm a pixel (the names of the images (tissue_20x.png) say 0.5 µm a pixel)" in capfd.readouterr().err
    Path("scan_20x").mkdir()
    picture.save("scan_20x/a.png")
    call("scan_20x/a.png", mpp=None, output="folder.csv")
    assert "the folder's name 'scan_20x' says 0.5 µm a pixel" in capfd.readouterr().err


def test_symmetries_do_not_depend_on_how_the_image_lies(folder):
    image = np.asarray(Image.open("a.png"))
    Image.fromarray(np.ascontiguousarray(np.rot90(image))).save("turned.png")
    call("a.png", "--symmetries", output="one.h5")
    call("turned.png", "--symmetries", output="two.h5")
    one, two = read_layouts(Path("one.h5")), read_layouts(Path("two.h5"))
    back = np.stack([two.points[:, 1], 169 - two.points[:, 0]], axis=1)  # rot90: (y, x) → (W − 1 − x, y)
    assert len(match(one.points, back, 0.5)) == len(one.points) == len(two.points)


# -- bad input -------------------------------------------------------------------------------------------------


def test_images_that_cannot_be_used(folder):
    assert refused("none.png") == "IMAGE none.png: there is no such file"
    Path("text.png").write_text("no image", encoding="utf-8")
    assert refused("text.png") == "text.png is not an image that Pillow can read; expected an 8-bit RGB image"
    pixels = np.asarray(Image.open("a.png"))
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 256).save("deep.png")
    assert refused("a.png", "deep.png") == "image deep.png is I;16, expected 8-bit RGB; convert it"
    clear = np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 100, np.uint8)], axis=2)
    Image.fromarray(clear, "RGBA").save("clear.png")
    assert "image clear.png is partly transparent, expected opaque RGB" in refused("a.png", "clear.png")
    Image.fromarray(pixels[:40, :20]).save("small.png")
    assert refused("small.png") == (
        "small.png has 40×20 px at 0.5 µm, which are 40×20 px at the detector's 0.5 µm; it needs 32×32 px at least"
    )
    assert "which are 16×8 px at the detector's 0.5 µm" in refused("small.png", mpp="0.2")
    whole = Path("a.png").read_bytes()
    Path("cut.png").write_bytes(whole[: len(whole) // 2])
    assert "image cut.png is truncated or damaged" in refused("a.png", "cut.png")


def test_scales_that_are_not_known(folder):
    assert refused("a.png", mpp=None).startswith("nothing tells how large a pixel of a.png is; give --mpp")
    picture = Image.open("a.png")
    picture.save("tissue_40x.png", dpi=(25_400 / 0.5, 25_400 / 0.5))
    assert "they disagree, so give --mpp" in refused("tissue_40x.png", mpp=None)
    assert refused("a.png", mpp="0").startswith("--mpp 0: expected µm a pixel of a microscope")
    assert refused("a.png", mpp="5") == "--mpp 5: expected 0.08 to 4 µm a pixel (0.5 at 20×)"
    for name, mpp in (("a", 0.5), ("b", 0.25)):
        picture.resize((400, 400)).save(f"{name}.tif", dpi=(25_400 / mpp, 25_400 / mpp))
    assert refused("a.tif", "b.tif", mpp=None) == (
        "the images have 0.25 to 0.5 µm a pixel, and a file has one scale; put {image} into the name of -o for a file "
        "an image"
    )
    call("a.tif", "b.tif", mpp=None, output="{image}.h5")
    assert [read_layouts(Path(f"{name}.h5")).mpp for name in "ab"] == [0.5, 0.25]


def test_names(folder):
    assert refused("a.png", output="none/out.csv") == "none/out.csv: there is no folder none; make it first"
    assert "unknown ending '.txt'" in refused("a.png", output="out.txt")
    assert "IMAGE " in (told := refused("a.png", "./a.png")) and told.endswith("is given twice; name each image once")
    Image.open("a.png").save("a.tif")
    assert refused("a.png", "a.tif", output="{image}.csv") == (
        "{image}.csv: two images are called 'a' and would write one file; rename one"
    )
    Path("sub").mkdir()
    Image.open("b.png").save("sub/a.png")
    call("a.png", "sub/a.png")
    assert export.read(Path("out.geojson")).source.tolist() == ["a.png", "sub/a.png"]


def test_files_that_hold_no_detector(folder):
    assert refused("a.png", weights="none") == "--weights none: there is no such file"
    assert refused("a.png", weights="a.png").startswith("a.png is no file of weights that can be read")
    other = {"method": "point_diffusion", "settings": {}}
    write_weights(Path("points.safetensors"), {"w": torch.zeros(2)}, {}, section=other, classes=["a"])
    assert refused("a.png", weights="points.safetensors") == (
        "points.safetensors holds a model of point_diffusion and no detector; give the model.safetensors of a trained "
        "detector"
    )


def test_weights_of_another_version(folder, trained):
    weights, facts = read_weights(trained)
    fewer = {name: one for name, one in weights.items() if not name.startswith("second.")}
    about = {name: facts[name] for name in ("section", "classes", "mpp")}
    write_weights(Path("old.safetensors"), fewer, {}, **about)
    assert refused("a.png", weights="old.safetensors") == (
        "old.safetensors was written by another version of cellscaper: its weights are not those of detector decoupled "
        "with its settings; train it again"
    )


def test_without_a_shipped_detector_the_command_says_so(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(packaged, "WEIGHTS", tmp_path / "weights" / "brca_m2c.safetensors")
    assert refused("a.png", weights=None) == (
        "no detector ships with this version of cellscaper; give --weights FILE, the model.safetensors of a detector "
        "that the workflow trained (docs/detect.md)"
    )


def test_what_ships_is_whole_or_nothing():
    """Either there is no detector in the package, or it is the one that its checksum and its card say."""
    if not packaged.WEIGHTS.exists():
        assert not packaged.WEIGHTS.with_suffix(".sha256").exists()
        return
    assert packaged.WEIGHTS.stat().st_size <= packaged.LARGEST
    assert packaged.load_packaged().facts["scores"]


# -- packing ---------------------------------------------------------------------------------------------------


def test_a_packed_detector_is_half_as_large_and_finds_the_same_cells(folder, tmp_path, monkeypatch):
    target = tmp_path / "weights" / "brca_m2c.safetensors"
    scores = {"a": {"f1": 0.7}}
    size = packaged.pack(Path("model.safetensors"), target, "discs", scores)
    assert size == target.stat().st_size < 0.6 * Path("model.safetensors").stat().st_size
    monkeypatch.setattr(packaged, "WEIGHTS", target)
    call("a.png", weights=None, output="packed.h5")
    call("a.png", output="own.h5")
    packed, own = read_layouts(Path("packed.h5")), read_layouts(Path("own.h5"))
    assert len(match(packed.points, own.points, 0.5)) >= 0.98 * max(len(packed.points), len(own.points))
    facts = packaged.load_packaged().facts
    assert facts["data"] == "discs" and facts["scores"] == scores and facts["precision"] == "fp16"
    assert (
        facts["trained"]["git"] == "abc" and facts["section"] == read_weights(Path("model.safetensors"))[1]["section"]
    )
    damaged = bytearray(target.read_bytes())
    damaged[-1] ^= 1
    target.write_bytes(damaged)
    with pytest.raises(CellscaperError, match="is not the file this version came with; install cellscaper again"):
        packaged.load_packaged()
    target.with_suffix(".sha256").unlink()
    with pytest.raises(CellscaperError, match="is not the file this version came with"):
        packaged.load_packaged()


def test_what_cannot_be_packed(folder, tmp_path, monkeypatch):
    target = tmp_path / "weights" / "brca_m2c.safetensors"
    monkeypatch.setattr(packaged, "LARGEST", 1000)
    with pytest.raises(CellscaperError, match=r"MB in half precision, at most 0 MB are shipped; train a smaller width"):
        packaged.pack(Path("model.safetensors"), target, "discs", {})
    weights, facts = read_weights(Path("model.safetensors"))
    first = next(iter(weights))
    write_weights(Path("large.safetensors"), {**weights, first: weights[first] * 1e9}, {}, **facts)
    with pytest.raises(CellscaperError, match="has values beyond half precision; this detector cannot be packed"):
        packaged.pack(Path("large.safetensors"), target, "discs", {})
    assert not target.exists()


def test_any_detector_of_the_workflow_can_be_loaded(tmp_path):
    for module, settings in (
        (unet, unet.Settings(width=4, depth=2)),
        (decoupled, decoupled.Settings(width=4, depth=2)),
    ):
        name = module.__name__.rsplit(".", 1)[1]
        section = {"method": name, "settings": settings.model_dump(mode="json"), "synthetic_fraction": 0.5}
        model = module.build(settings, 2)
        write_weights(tmp_path / name, model.state_dict(), {}, section=section, classes=["x", "y"], mpp=0.5)
        one = packaged.load(tmp_path / name)
        image = torch.rand(1, 3, 40, 40)
        with torch.inference_mode():
            assert torch.equal(one.on(torch.device("cpu"))(image), module.maps(model.eval(), image))
