"""`cellscaper check` on folders made from simulated tissue, in every format; what it says against the truth."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from scipy.io import savemat
from snakemake.utils import update_config

from cellscaper import cli
from cellscaper.datasets import dots, phantom
from cellscaper.datasets.survey_start import starts
from cellscaper.disk import shipped
from cellscaper.disk.files import checksum
from cellscaper.disk.shipped import shipped_file
from cellscaper.disk.weights import write_weights
from cellscaper.disk.weights_header import read_header
from cellscaper.errors import CellscaperError
from cellscaper.plan.configuration import configuration
from cellscaper.plan.outputs import Outputs
from cellscaper.run.settings import read

REPOSITORY = Path(__file__).resolve().parents[3]
CLASSES = ("lymphocyte", "epithelial", "stromal")
SETTINGS = phantom.Settings(images=phantom.Images(train=5, val=1, test=4), size=(160, 144), seed=3)


@pytest.fixture(scope="module")
def records():
    return list(phantom.read(SETTINGS, None))


def rows(record):
    return zip(record.points.tolist(), record.labels.tolist(), strict=True)


def as_csv(record):
    return "x,y,type\n" + "".join(f"{x},{y},{CLASSES[k]}\n" for (y, x), k in rows(record))


def as_text(record):
    return "".join(f"{y} {x} {k + 1}\n" for (y, x), k in rows(record))


def as_geojson(record):
    return json.dumps([
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [x, y]},
         "properties": {"objectType": "detection", "classification": {"name": CLASSES[k]}}}
        for (y, x), k in rows(record)
    ])  # fmt: skip


def as_hovernet(record):
    return json.dumps(
        {"nuc": {str(i): {"centroid": [x, y], "type": k + 1} for i, ((y, x), k) in enumerate(rows(record))}}
    )


FORMATS = {
    "labels/{}.csv": as_csv,
    "{}_dots.txt": as_text,
    "geo/{}.geojson": as_geojson,
    "json/{}.json": as_hovernet,
    "{}.mat": None,
}


def make(folder, records, name="labels/{}.csv", scale=1):
    """A folder of the records' images (repeated ``scale`` times a side) with their dots."""
    for record in records:
        (folder / "img").mkdir(exist_ok=True)
        image = record.image.repeat(scale, axis=0).repeat(scale, axis=1)
        Image.fromarray(image).save(folder / "img" / f"{record.image_id}.png")
        file = folder / name.format(record.image_id)
        file.parent.mkdir(exist_ok=True)
        if FORMATS[name] is None:
            savemat(file, {"class": record.labels[:, None] + 1, "centroid": record.points[:, ::-1].astype(float)})
        else:
            points = record.points * scale + (scale - 1) / 2  # the middle of a pixel's copies
            moved = type(record)(record.image_id, record.split, points, record.labels, record.image)
            file.write_text(FORMATS[name](moved))
    return folder


def check(folder, *more):
    cli.call(["check", str(folder), "-o", str(folder / "own.yaml"), *more])
    return yaml.safe_load((folder / "own.yaml").read_text(encoding="utf-8"))


def written(overlay):
    """The settings of the reader that a configuration names."""
    block = overlay["datasets"]["mine"]
    assert block["reader"] == "dots"
    return read(dots.Settings, {key: value for key, value in block.items() if key != "reader"}, "datasets mine")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_found_and_read_as_it_was_written(records, tmp_path, capsys, name):
    folder = make(tmp_path, records, name)
    overlay = check(folder, "--mpp", "0.5")
    settings = overlay["datasets"]["mine"]
    said = capsys.readouterr().out
    total = sum(len(record.labels) for record in records)
    assert f"dots       {total} (" in said and "images     10 (img/*.png), 144 to 160 px" in said
    back = {record.image_id: record for record in dots.read(written(overlay), folder)}
    numbered = settings["classes"] == ["class_1", "class_2", "class_3"]
    order = [settings["classes"].index(f"class_{k + 1}" if numbered else one) for k, one in enumerate(CLASSES)]
    for record in records:
        one = back[record.image_id]
        np.testing.assert_allclose(one.points, record.points, atol=1e-4)
        assert one.labels.tolist() == [order[k] for k in record.labels.tolist()]
        assert np.array_equal(one.image, record.image)


def test_the_numbers_are_those_of_the_cells(records, tmp_path, capsys):
    folder = make(tmp_path, records)
    settings = check(folder, "--mpp", "0.5", "--classes", "lymphocyte=lymphocyte,epithelial=tumour,stromal=")[
        "datasets"
    ]["mine"]
    lines = capsys.readouterr().out.splitlines()
    assert settings["classes"] == ["lymphocyte", "tumour"] and settings["class_map"]["stromal"] is None
    kept = [record.labels[record.labels < 2] for record in records]
    whole = next(line.split() for line in lines if line.startswith("all "))
    counts = np.bincount(np.concatenate(kept), minlength=2)
    window = sum(map(len, kept)) * 256**2 / (10 * 160 * 144)
    assert whole[1:] == ["10", *map(str, counts), str(counts.sum()), f"{window:.1f}"]
    of_split = {
        line.split()[0]: int(line.split()[1])
        for line in lines
        if line.split() and line.split()[0] in ("train", "val", "test")
    }
    assert of_split == {"train": 7, "val": 1, "test": 2}


@pytest.mark.parametrize(("scale", "mpp"), [(1, 0.5), (2, 0.25)])
def test_the_scale_is_guessed_from_the_distances_of_cells(records, tmp_path, capsys, scale, mpp):
    folder = make(tmp_path, records, scale=scale)
    settings = check(folder)["datasets"]["mine"]
    assert settings["mpp"] == mpp
    said = capsys.readouterr().out
    assert f"scale      {mpp} µm a pixel, guessed" in said
    assert ("will be rescaled" in said) == (scale == 2)


def test_a_dataset_at_40x_is_read_at_20x(records, tmp_path):
    folder = make(tmp_path, records, scale=2)
    settings = written(check(folder, "--mpp", "0.25"))
    assert settings.rescale is True and dots.mpp(settings) == 0.5
    back = {record.image_id: record for record in dots.read(settings, folder)}
    for record in records:
        one = back[record.image_id]
        np.testing.assert_allclose(one.points, record.points, atol=1e-3)
        assert np.array_equal(one.image, record.image)  # pixels that were repeated are averaged again


@pytest.mark.parametrize(("scale", "preset"), [(1, "demo-all"), (2, "brca-small")])
def test_what_is_written_is_a_configuration_over_the_preset_that_it_names(records, tmp_path, scale, preset):
    folder = make(tmp_path, records, scale=scale)
    own = check(folder, "--mpp", "0.5")
    named = f"workflow/presets/{preset}.yaml"
    assert f"--configfile {named} this.yaml" in (folder / "own.yaml").read_text(encoding="utf-8")
    whole = yaml.safe_load((REPOSITORY / named).read_text(encoding="utf-8"))
    update_config(whole, own)
    config = configuration(whole)
    assert config["run"]["datasets"] == ["mine"] and config["datasets"]["mine"]["reader"] == "dots"
    outputs = Outputs(config)
    field = config["fields"]["w256"]
    for name in ("adm", "tc_sd_gmm", "topocellgen", "point_diffusion", "retrieval", "random"):
        assert outputs.experiments[name].field == "w256", name
    assert field["windows"]["stride"] == own["fields"]["w256"]["windows"]["stride"]
    assert field["small"] == config["painters"]["tc"]["small"] == config["features"]["tc_released"]["small"]
    half = config["metrics"]["topofd"]["samples"]
    if "metrics" in own:  # fewer test windows than the preset compares
        assert config["metrics"]["mmd"]["layouts"] == config["metrics"]["copies"]["layouts"] == half
        assert config["features"]["tc"]["width"] <= half // 2


def test_images_below_the_region_are_left_out_everywhere(records, tmp_path, capsys):
    folder = make(tmp_path, records)
    Image.fromarray(np.full((100, 100, 3), 9, np.uint8)).save(folder / "img" / "small.png")
    (folder / "labels" / "small.csv").write_text("x,y,type\n5,5,stromal\n")
    own = check(folder, "--mpp", "0.5")
    assert "1 image is smaller than 128 px" in capsys.readouterr().out
    assert own["fields"]["w256"]["small"] == "skip" and own["painters"] == {"tc": {"small": "skip"}}
    assert {block["small"] for block in own["features"].values()} == {"skip"}
    assert "experiments" not in own


def test_what_is_wrong_is_said_and_no_configuration_written(records, tmp_path):
    folder = make(tmp_path, records)
    file = folder / "labels" / f"{records[0].image_id}.csv"
    file.write_text(file.read_text() + "500,10,stromal\n")
    with pytest.raises(CellscaperError, match=r"1 dots lie outside their images"):
        check(folder, "--mpp", "0.5")
    assert not (folder / "own.yaml").exists()
    file.unlink()
    with pytest.raises(CellscaperError, match="1 image has no dot file"):
        check(folder, "--mpp", "0.5")


def test_too_few_images_for_a_random_split_are_told_how_to_name_one(records, tmp_path):
    with pytest.raises(
        CellscaperError,
        match=r"3 images are too few for a split at random .* needs 6: .*train.txt, val.txt and test.txt",
    ):
        check(make(tmp_path, records[:3]), "--mpp", "0.5")
    for record, name in zip(records, ("train", "val", "test"), strict=False):
        (tmp_path / f"{name}.txt").write_text(record.image_id)
    assert check(tmp_path, "--mpp", "0.5")["datasets"]["mine"]["split"]["val"] == "val.txt"


def test_doubles_rare_classes_and_shifts_are_warned_of(records, tmp_path, capsys):
    folder = make(tmp_path, records)
    for name in ("train", "val", "test"):
        chosen = [record.image_id for record in records if record.split == name]
        (folder / f"{name}.txt").write_text("\n".join(chosen))
    first, dense = (next(r for r in records if r.split == name) for name in ("train", "test"))
    file = folder / "labels" / f"{first.image_id}.csv"
    line = file.read_text().splitlines()[1]
    file.write_text(file.read_text() + line + "\n" + "5,5,other\n")
    rng = np.random.default_rng(0)
    more = "".join(f"{x:.2f},{y:.2f},stromal\n" for y, x in rng.uniform(0, 144, (900, 2)))
    file = folder / "labels" / f"{dense.image_id}.csv"
    file.write_text(file.read_text() + more)
    check(folder, "--mpp", "0.5")
    said = capsys.readouterr().out
    assert "splits     lists train.txt, val.txt, test.txt" in said
    assert "class other is 0" in said and "cells lie within 1 px" in said
    assert "the splits differ in density" in said and "class stromal is" in said


def test_swapped_columns_without_a_header_are_found_by_the_image(tmp_path, capsys):
    rng = np.random.default_rng(1)
    (tmp_path / "a").mkdir()
    for i in range(10):
        Image.fromarray(np.full((140, 400, 3), 9, np.uint8)).save(tmp_path / "a" / f"s{i}.png")
        places = rng.uniform(0, (140, 400), (60, 2))
        (tmp_path / "a" / f"s{i}.csv").write_text(
            "".join(f"{x:.1f},{y:.1f},t{k % 2}\n" for k, (y, x) in enumerate(places))
        )
    settings = check(tmp_path, "--mpp", "0.5")["datasets"]["mine"]
    assert settings["columns"] == ["x", "y", "class"]
    assert "600 of 600 dots lie inside" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "is not a folder"),
        (["."], "holds no image"),
        ([".", "--mpp", "-1"], "--mpp"),
        ([".", "--columns", "a,b"], "expected y, x and class"),
        ([".", "--classes", "a"], "--classes"),
        ([".", "--name", "My Data"], "--name"),
    ],
)
def test_bad_arguments_end_in_one_line(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CellscaperError, match=message):
        cli.call(["check", *arguments])


def test_a_configuration_is_never_written_over_a_file_of_the_folder(records, tmp_path):
    folder = make(tmp_path, records)
    table = next((folder / "labels").iterdir())
    before = table.read_bytes()
    with pytest.raises(CellscaperError, match="would be overwritten: name another"):
        cli.call(["check", str(folder), "-o", str(table)])
    assert table.read_bytes() == before
    assert check(folder, "--mpp", "0.5") == check(folder, "--mpp", "0.5")  # its own configuration may be


def test_images_without_dots_say_what_was_expected(tmp_path):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "slide.png")
    with pytest.raises(CellscaperError, match=r"no file of dots named after one; expected for example slide\.csv"):
        cli.call(["check", str(tmp_path)])


# -- the bundled weights -------------------------------------------------------------------------------------------


def test_trainings_start_from_the_bundled_weights_where_region_and_scale_fit(records, tmp_path, capsys):
    folder = make(tmp_path, records, scale=2)
    overlay = check(folder, "--mpp", "0.5", "--classes", "lymphocyte=lymphocyte,epithelial=tumour,stromal=stromal")
    block = overlay["experiments"]["point_diffusion"]
    assert block["weights"] is None and block["init"] == "package:point_diffusion"
    line = (
        "start      point_diffusion: from the bundled weights, lymphocyte, stromal as there, tumour anew (`init: null`"
    )
    assert line in capsys.readouterr().out
    assert "# start point_diffusion: from the bundled weights" in (folder / "own.yaml").read_text(encoding="utf-8")
    preset = yaml.safe_load((REPOSITORY / "workflow/presets/brca-small.yaml").read_text(encoding="utf-8"))
    plan = Outputs(configuration(preset, overlay))
    recipe = plan.experiments.recipe("point_diffusion")
    assert recipe["init"] == checksum(shipped_file("point_diffusion")) and recipe["training"]["steps"] == 1500
    given, _ = read_header(shipped_file("point_diffusion"))
    assert recipe["settings"] == given["section"]["settings"] and "point_diffusion" in plan.trainings("mine")
    assert plan.told_weights() == []


@pytest.mark.parametrize(("scale", "mpp"), [(1, "0.5"), (2, "0.45")])
def test_trainings_start_anew_elsewhere_and_the_check_says_why(records, tmp_path, capsys, scale, mpp):
    overlay = check(make(tmp_path, records, scale=scale), "--mpp", mpp)
    assert overlay.get("experiments") == (None if scale == 1 else {"point_diffusion": {"weights": None}})
    region = 128 if scale == 1 else 256
    assert (
        f"start      point_diffusion: new weights, because the bundled ones are of 256 px at 0.5 µm a pixel, and these "
        f"cells of {region} px at {mpp}"
    ) in capsys.readouterr().out


def test_maps_start_with_the_grid_and_the_settings_of_their_weights(monkeypatch, tmp_path):
    """With toy weights of a system that makes maps: the overlay is a valid configuration with the same network."""
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    network = {"channels": 48, "blocks": 1, "multipliers": [1, 2, 3], "attention": [16, 8], "head_channels": 48}
    section = {
        "method": "topocellgen",
        "region": 256,
        "settings": {"network": network, "diffusion": {"prediction": "v"}},
        "grid": {"region": 256, "stride": 4, "marker": 3, "low": -0.5, "high": 2.5, "soft": 0.914, "exact": True},
        "condition": {"kind": "class_counts", "drop": 0.1},
        "training": {"steps": 6000},
    }
    facts = {"section": section, "classes": ["a"], "mpp": 0.5, "package": {"experiment": "topocellgen"}}
    file = tmp_path / "topocellgen.safetensors"
    write_weights(file, {"a": torch.ones(1)}, {}, **facts)
    file.with_suffix(".sha256").write_text(f"{checksum(file)}  {file.name}\n")
    found = starts(["a", "b"], 0.5, 256)
    plan = Outputs(configuration({"experiments": found.experiments, "grids": found.grids}))
    recipe = plan.experiments.recipe("topocellgen")
    assert recipe["grid"] == {**section["grid"], "pad": 0} and recipe["init"] == checksum(file)
    assert recipe["settings"]["network"].items() >= network.items()
    assert recipe["condition"] == {"kind": "class_counts", "scale": 50.0, "drop": 0.1}


def test_the_command_that_is_printed_can_be_pasted_in_any_folder(records, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "my data"
    folder.mkdir()
    make(folder, records)
    monkeypatch.chdir(tmp_path)
    cli.call(["check", "my data", "-o", "it's mine.yaml", "--mpp", "0.5"])
    command = capsys.readouterr().out.rstrip().splitlines()[-1]
    enter, to, then, program, *rest = shlex.split(command)
    assert (enter, to, then) == ("cd", str(REPOSITORY), "&&")
    preset, own = rest[rest.index("--configfile") + 1 :]
    assert (REPOSITORY / program).exists() and (REPOSITORY / preset).is_file()
    assert own == str(tmp_path / "it's mine.yaml") and Path(own).is_file()

    monkeypatch.chdir(REPOSITORY)
    cli.call(["check", str(folder), "-o", own, "--mpp", "0.5"])
    assert shlex.split(capsys.readouterr().out.rstrip().splitlines()[-1]) == [program, *rest]
