"""Everything that is read from files, broken at random: only CellscaperError comes out, in time, and no partial output.

CELLSCAPER_FUZZ=5000 sets the number of cases for each reader, others at each call; the usual ones are few and the same
every time.
"""

import io
import json
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat
from tests.unit.fuzz.breaking import CHANGES, EDITS, SCALARS, TREES, broken, changed, put, refuses_or_reads

from cellscaper.datasets.dot_file import DotFormat, parse_dots
from cellscaper.datasets.download import unpack
from cellscaper.datasets.images import read_rgb
from cellscaper.datasets.lizard import read_label
from cellscaper.datasets.record import read_text
from cellscaper.disk import export
from cellscaper.disk.checked_csv import with_checks
from cellscaper.disk.formats.annotations import format_of, read_annotated
from cellscaper.disk.formats.facts import Given
from cellscaper.disk.score_file import write_scores
from cellscaper.disk.storage import (
    DensitySet,
    ImageSet,
    layout_names,
    read_array,
    read_layouts,
    read_provenance,
    write_density,
    write_images,
    write_layouts,
)
from cellscaper.disk.weights import read_weights, write_weights
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.plan import sections
from cellscaper.plan.configuration import complete, configuration, defaults
from cellscaper.plan.figures import Figures
from cellscaper.plan.outputs import Outputs
from cellscaper.report.tables.build import collect
from cellscaper.stages.draw_training import read_log
from cellscaper.stages.read_cells import dataset_folder

pytestmark = pytest.mark.slow  # hundreds of broken files for each reader

REPOSITORY = Path(__file__).resolve().parents[3]
CASES = int(os.environ.get("CELLSCAPER_FUZZ", "60"))
CAMPAIGN = "CELLSCAPER_FUZZ" in os.environ
usual = settings(max_examples=CASES, suppress_health_check=list(HealthCheck), deadline=None, derandomize=not CAMPAIGN)
few = usual if CAMPAIGN else settings(usual, max_examples=CASES // 3)  # slow readers


# -- what is broken --------------------------------------------------------------------------------------------


def layouts():
    rng = np.random.default_rng(0)
    one = [
        Layout(rng.uniform(0, 40, (n, 2)).astype(np.float32), rng.integers(0, 2, n).astype(np.uint8), (48, 40), f"i{n}")
        for n in (3, 0, 5)
    ]
    return LayoutSet.build(one, ("a", "b"), 0.5, {"split": np.array(["train", "val", "test"]), "target": np.arange(3)})


class Files(dict):
    """Contents by name, with a short repr for hypothesis."""

    def __repr__(self):
        return f"<{len(self)} files>"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The bytes of a small file of each kind."""
    folder, record = tmp_path_factory.mktemp("whole"), {"stage": "test"}
    write_layouts(
        folder / "layouts.h5",
        {"components": layouts(), "requested": layouts()},
        record,
        {"density": np.ones((3, 2, 4, 4), np.float32)},
    )
    write_layouts(folder / "cells.h5", layouts(), record)
    with write_images(folder / "images.h5", record) as images:
        for side in (5, 6):
            images.append(np.full((side, 7, 3), 9, np.uint8))
    write_density(folder / "density.h5", [np.ones((2, 4, 5), np.float32)] * 2, 2, 0.5, record)
    import torch

    write_weights(folder / "model.safetensors", {"w": torch.arange(6.0).reshape(2, 3)}, record, section={"a": 1})
    write_scores(
        folder / "scores.csv",
        {"dataset": "d", "experiment": "e", "decoder": "points", "seed": 0},
        {"cce": {"a": 1.5, "b": 2.0}, "tce": {"total": 3.0}},
        9,
    )
    (folder / "losses.csv").write_text(with_checks(["step", "loss"], [["5", "1.5"], ["10", "1.25"]]))
    (folder / "hovernet.json").write_text(
        '{"mag": 20, "nuc": {"1": {"centroid": [3.5, 4], "type": 1}, "2": {"centroid": [1, 2]}}}'
    )
    (folder / "manifest.json").write_text('{"files":{"a.png":"00"},"root":"/data"}\n')
    for ending in ("geojson", "csv", "json", "h5ad", "napari.csv"):
        export.write(folder / f"cells.{ending}", layouts(), record)
    ids = {"inst_map": np.eye(12, dtype=np.int32), "id": np.arange(1, 4)[:, None], "class": np.array([[1], [2], [6]])}
    for name, compressed in (("plain.mat", False), ("packed.mat", True)):
        savemat(folder / name, {**ids, "centroid": np.array([[1.0, 2], [3, 4], [5, 6]])}, do_compression=compressed)
    pixels = np.random.default_rng(0).integers(0, 255, (9, 8, 3), np.uint8)
    for ending in ("png", "jpg", "tif"):
        Image.fromarray(pixels).save(folder / f"image.{ending}")
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/one.txt", "one" * 50)
        archive.writestr("two.txt", "two")
    for name, mode in (("a.tar", "w"), ("a.tar.gz", "w:gz")):
        with tarfile.open(folder / name, mode) as archive:
            for path, data in (("x/one.txt", b"one" * 50), ("two.txt", b"two")):
                member = tarfile.TarInfo(path)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return Files({file.name: file.read_bytes() for file in folder.iterdir()})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("broken")


# -- label files -------------------------------------------------------------------------------------------------

LABELS = {
    "blank": (b"3 4 1\n20 30 2\n39 0 3\n", DotFormat(["y", "x", "class"], {"1": 0, "2": 1, "3": 2}, "blank", False)),
    "comma": (
        b"id,row,col,type\n1,3.5,4,a\n2,1e1,-0,b\n",
        DotFormat({"y": "row", "x": "col", "class": "type"}, {"a": 0, "b": 1}),
    ),
    "tab": (b"y\tx\tclass\n3\t4\ta\n", DotFormat(["y", "x", "class"], {"a": 0}, "tab")),
    "auto": ("﻿x,y,class\r\n3,4,\"a\"\r\n".encode(), DotFormat(["x", "y", "class"], {"a": 0})),
}  # fmt: skip


@pytest.mark.parametrize("name", LABELS)
@usual
@given(edits=EDITS)
def test_label_files(name, folder, edits):
    data, form = LABELS[name]
    path = put(folder, "dots.txt", broken(data, edits))
    dots = refuses_or_reads(lambda: parse_dots(read_text(path, "dot file"), form, path))
    if dots is not None:
        assert len(dots.points) == len(dots.labels) == len(dots.lines)
        assert np.isfinite(dots.points).all()
        assert (dots.labels < len(form.labels)).all()


@usual
@given(
    text=st.text(max_size=80),
    separator=st.sampled_from(["auto", "comma", "tab", "blank"]),
    header=st.sampled_from([True, False, "auto"]),
)
def test_any_text_as_a_label_file(text, separator, header):
    refuses_or_reads(parse_dots, text, DotFormat(["y", "x", "class"], {"1": 0}, separator, header), "any.txt")


# -- Lizard's labels ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plain.mat", "packed.mat"])
@usual
@given(edits=EDITS)
def test_mat_files(name, whole, folder, edits):
    path = put(folder, name, broken(whole[name], edits))
    found = refuses_or_reads(read_label, path, (12, 12))
    if found is not None:
        ids, points, labels = found
        assert len(ids) == len(points) == len(labels)
        assert (labels < 6).all()


ODD_ARRAYS = st.one_of(
    st.builds(
        lambda shape, value, kind: np.full(shape, value).astype(kind),
        st.lists(st.integers(0, 4), max_size=3).map(tuple),
        st.sampled_from([0, 1, 3, -1, 250, np.nan, np.inf, 1e300]),
        st.sampled_from(["f8", "f4", "i4", "u1", "i8", "?", "c16"]),
    ),
    st.text(max_size=4).map(np.array),
    st.lists(st.integers(0, 3), max_size=3).map(lambda x: np.array([*x, "a"], dtype=object)),
    st.just({"field": 1.0}),
)


@usual
@given(
    odd=st.dictionaries(st.sampled_from(["inst_map", "id", "class", "centroid"]), ODD_ARRAYS, min_size=1),
    size=st.sampled_from([(12, 12), (0, 0), (1, 3)]),
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_mat_files_of_odd_arrays(folder, odd, size):
    good = {"inst_map": np.zeros(size, np.int32), "id": np.arange(3), "class": np.ones(3), "centroid": np.zeros((3, 2))}
    try:
        savemat(folder / "odd.mat", {**good, **odd})
    except (ValueError, TypeError, AttributeError, UnicodeEncodeError):  # scipy does not write it
        return
    refuses_or_reads(read_label, folder / "odd.mat", size)


# -- our own files -----------------------------------------------------------------------------------------------------


def read_all(path):
    """Everything in a file of layouts."""
    names = layout_names(path)
    read_provenance(path)
    found = [read_layouts(path, name) for name in names] or [read_layouts(path)]
    if names:
        read_array(path, "density")
    return found


def read_pictures(path):
    with ImageSet(path) as images:
        return [image.shape for image in images]


def read_maps(path):
    with DensitySet(path) as maps:
        return [(one.shape, maps.stride, maps.scale) for one in maps]


OWN = {
    "layouts.h5": read_all, "cells.h5": read_all, "images.h5": read_pictures, "density.h5": read_maps,
    "model.safetensors": read_weights,
}  # fmt: skip


@pytest.mark.parametrize("name", OWN)
@usual
@given(edits=EDITS)
def test_own_files(name, whole, folder, edits):
    path = put(folder, name, broken(whole[name], edits))
    found = refuses_or_reads(OWN[name], path)
    if found is not None and name in ("layouts.h5", "cells.h5"):
        assert all(one == layouts() for one in found), "damage was read without a word"


TABLES = {"scores.csv": lambda path: collect([path]), "losses.csv": read_log, "manifest.json": dataset_folder}


@pytest.mark.parametrize("name", TABLES)
@usual
@given(edits=EDITS)
def test_own_tables(name, whole, folder, edits):
    refuses_or_reads(TABLES[name], put(folder, name, broken(whole[name], edits)))


@pytest.mark.slow
@usual
@given(
    name=st.sampled_from(["points", "labels", "offsets", "size", "origin", "source"]),
    shape=st.lists(st.integers(0, 9), max_size=3).map(tuple),
    kind=st.sampled_from(["f4", "f8", "i8", "u1", "i4", "S3"]),
    value=st.sampled_from([0, 1, 2, -1, 200, np.nan, 1e30]),
    attribute=st.sampled_from(
        [None, ("mpp", np.nan), ("mpp", "x"), ("classes", "[]"), ("classes", "{"), ("classes", "[1, 1]"), ("schema", 5)]
    ),
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_hdf5_of_odd_arrays(whole, folder, name, shape, kind, value, attribute):
    path = put(folder, "odd.h5", whole["cells.h5"])
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = np.full(shape, value).astype(kind)
        if attribute is not None:
            file.attrs[attribute[0]] = attribute[1]
    refuses_or_reads(read_all, path)


# -- files of other programs ------------------------------------------------------------------------------------------

OTHERS = ["cells.geojson", "cells.csv", "cells.json", "cells.h5ad", "cells.napari.csv"]
GIVEN = [None, Given((48, 40), 0.5, ("a", "b")), Given((48, 40), 0.5, None)]


@pytest.mark.parametrize("name", OTHERS)
@usual
@given(edits=EDITS, known=st.sampled_from(GIVEN))
def test_files_of_other_programs(name, whole, folder, edits, known):
    refuses_or_reads(export.read, put(folder, name, broken(whole[name], edits)), known)


@pytest.mark.parametrize("name", ["cells.geojson", "cells.json"])
@usual
@given(changes=CHANGES, known=st.sampled_from(GIVEN))
def test_json_of_another_shape(name, whole, folder, changes, known):
    data = json.dumps(changed(json.loads(whole[name]), changes)).encode()
    refuses_or_reads(export.read, put(folder, name, data), known)


@pytest.mark.parametrize("name", ["cells.geojson", "hovernet.json", "plain.mat", "packed.mat"])
@usual
@given(edits=EDITS)
def test_annotations(name, whole, folder, edits):
    path = put(folder, f"annotated{Path(name).suffix}", broken(whole[name], edits))
    form = refuses_or_reads(format_of, path)
    if form not in (None, "table"):
        found = refuses_or_reads(read_annotated, path, form)
        assert found is None or (len(found.points) == len(found.names) and np.isfinite(found.points).all())


@pytest.mark.parametrize("name", ["image.png", "image.jpg", "image.tif"])
@few
@given(edits=EDITS)
def test_images(name, whole, folder, edits):
    pixels = refuses_or_reads(read_rgb, put(folder, name, broken(whole[name], edits)))
    if pixels is not None:
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
@few
@given(edits=EDITS)
def test_archives(name, whole, folder, edits):
    out = folder / "unpacked"
    shutil.rmtree(out, ignore_errors=True)
    done = refuses_or_reads(lambda: unpack(put(folder, name, broken(whole[name], edits)), out, 100_000) or True)
    assert out.exists() == bool(done)
    assert not list(folder.glob(".*partial"))


# -- configuration -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def papers():
    return defaults()


def use(config):
    """All that the Snakefile takes from a configuration whose bases and defaults are written out."""
    outputs = Outputs(config)
    experiments, tables, figures = outputs.experiments, outputs.tables, Figures(outputs)
    figures.run_files()
    figures.galleries()
    for dataset in config["run"]["datasets"]:
        sections.dataset_section(config, dataset)
        figures.gallery_inputs(dataset)
    for dataset, table in tables.wanted():
        assert dataset in config["datasets"]
        tables.section(table)
        tables.intervals_section(table)
        outputs.table_scores(dataset, table)
        figures.picture_inputs(dataset, table)
        for detector in tables.detectors(table):
            sections.detector_section(config, detector, 0)
        for row in tables.rows(table):
            if row.experiment:
                use_row(dataset, row, outputs, experiments)
    return True


def use_row(dataset, row, outputs, experiments):
    config, name, field = outputs.config, row.experiment, experiments[row.experiment].field
    outputs.layout_weights(dataset, name, "0")
    outputs.density(dataset, name)
    outputs.painting(dataset, name, "0")
    outputs.networks(dataset, name, row.decoder)
    experiments.recipe(name)
    sections.windows_section(config, field)
    sections.sampling_section(experiments, next(iter(config["datasets"])), name, "test")
    sections.scoring_section(experiments, name, row.decoder, outputs.tables.metrics(name, row.decoder))
    sections.image_scoring_section(experiments, name)
    sections.painter_section(config, experiments.painter(name))
    sections.painting_section(config, experiments.painter(name))
    for network in experiments.features(name):
        sections.features_section(config, network)


@pytest.mark.slow
@few
@given(changes=CHANGES)
def test_configurations(papers, changes):
    tree = changed(papers, changes)
    if isinstance(tree, dict):  # Snakemake takes nothing else
        refuses_or_reads(lambda: use(complete(tree)))


@pytest.mark.slow
@few
@given(changes=CHANGES, name=st.sampled_from(["ci", "brca-small", "brca-points-topology"]))
def test_overlays(folder, changes, name):
    own = changed(yaml.safe_load((REPOSITORY / f"workflow/presets/{name}.yaml").read_text(encoding="utf-8")), changes)
    if isinstance(own, dict):
        refuses_or_reads(lambda: use(configuration(own)))


ENTRIES = st.sampled_from(["adm", "topocellgen", "tc_count", "random", "sd_gmm", "a", "b"])
BASED = st.dictionaries(
    ENTRIES,
    st.none()
    | TREES
    | st.fixed_dictionaries(
        {}, optional={"base": ENTRIES | TREES, "generator": st.sampled_from(["adm", "random", "tmccg"]) | SCALARS,
                      "settings": st.none() | TREES, "density": st.none() | st.just("kde")}
    ),
    max_size=4,
)  # fmt: skip


@pytest.mark.slow
@few
@given(entries=BASED, section=st.sampled_from(["experiments", "experiments", "tables"]))
def test_bases_of_all_kinds(entries, section):
    refuses_or_reads(lambda: use(configuration({section: entries})))


@pytest.mark.slow
@few
@given(edits=EDITS)
def test_configuration_files_of_broken_text(folder, edits):
    """A file that YAML reads as a map; of the others Snakemake says what is wrong."""
    data = broken((REPOSITORY / "workflow/presets/ci.yaml").read_bytes(), edits)
    try:
        own = yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, RecursionError):
        return
    if isinstance(own, dict) and all(isinstance(key, str) for key in own):
        path = put(folder, "own.yaml", data)
        refuses_or_reads(lambda: use(configuration(own, where=[f"in {path}"])))
