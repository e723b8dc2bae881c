"""``.h5ad``: what h5py wrote is what anndata reads, and what other programs write is read or asked about."""

import h5py
import numpy as np
import pytest

from cellscaper.disk import export
from cellscaper.disk.formats import h5ad
from cellscaper.disk.formats.annotations import format_of, read_annotated
from cellscaper.disk.formats.facts import Given
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet

CLASSES = ("lymphocyte", "epithelial", "ü, stroma")
WHY = "anndata is not installed: make .venv/oracles installs it"


def example(sources=("a", "b", "c")):
    rng = np.random.default_rng(0)
    items = [
        Layout(
            rng.uniform(0, (40, 50), (n, 2)).astype(np.float32), rng.integers(0, 3, n).astype(np.uint8), (40, 50), name
        )
        for n, name in zip((5, 0, 3), sources, strict=True)
    ]
    return LayoutSet.build(items, CLASSES, 0.25, {"seed": np.arange(3)})


@pytest.fixture
def path(tmp_path):
    export.write(tmp_path / "x.h5ad", example(), {})
    return tmp_path / "x.h5ad"


def foreign(path, columns, spatial=None, libraries=None):
    """A file as anndata writes it, by hand: columns of obs as text arrays."""
    n = len(next(iter(columns.values()))) if columns else 2
    with h5py.File(path, "w") as file:
        obs = file.create_group("obs")
        obs.attrs["_index"] = "cell"
        obs["cell"] = np.array([f"c{i}" for i in range(n)], object)
        for name, values in columns.items():
            obs[name] = np.array(values, object) if isinstance(values[0], str) else np.array(values)
        file["obsm/spatial"] = np.arange(2.0 * n).reshape(n, 2) if spatial is None else spatial
        for name, (scale, shape) in (libraries or {}).items():
            file[f"uns/spatial/{name}/scalefactors/microns_per_pixel"] = scale
            file[f"uns/spatial/{name}/scalefactors/tissue_hires_scalef"] = 0.5
            file[f"uns/spatial/{name}/images/hires"] = np.zeros((*shape, 3), np.uint8)
    return path


# -- ours ----------------------------------------------------------------------------------------------------


def test_images_have_the_names_of_their_sources_where_these_can_be_told_apart(path):
    with h5py.File(path) as file:
        assert list(file["uns/spatial"]) == ["a", "b", "c"]
    assert h5ad.image_names(["a", "a"]) == h5ad.image_names(["", "b"]) == h5ad.image_names(["x/y", "b"]) == ["0", "1"]


def test_coordinates_are_x_then_y_and_classes_categories(path):
    layouts = example()
    with h5py.File(path) as file:
        assert np.array_equal(file["obsm/spatial"][()], layouts.points[:, ::-1].astype(np.float64))
        assert np.array_equal(file["obs/class/codes"][()], layouts.labels)
        assert [one.decode() for one in file["obs/class/categories"][()]] == list(CLASSES)
        assert file["uns/spatial/a/scalefactors/microns_per_pixel"][()] == 0.25


@pytest.mark.slow
def test_anndata_opens_it(path):
    anndata = pytest.importorskip("anndata", reason=WHY)
    layouts, read = example(), anndata.read_h5ad(path)
    assert read.shape == (8, 0)
    assert list(read.obs["class"].cat.categories) == list(CLASSES)
    assert read.obs["class"].cat.codes.tolist() == layouts.labels.tolist()
    assert read.obs["image"].tolist() == ["a"] * 5 + ["c"] * 3
    assert np.array_equal(read.obsm["spatial"], layouts.points[:, ::-1])
    assert read.uns["spatial"]["c"]["scalefactors"]["microns_per_pixel"] == 0.25


@pytest.mark.slow
def test_what_anndata_writes_again_comes_back(path, tmp_path):
    anndata = pytest.importorskip("anndata", reason=WHY)
    read = anndata.read_h5ad(path)
    read.write_h5ad(tmp_path / "same.h5ad")
    assert export.read(tmp_path / "same.h5ad") == example()
    read[read.obs["image"] == "c"].copy().write_h5ad(tmp_path / "less.h5ad")  # drops the other categories
    less = export.read(tmp_path / "less.h5ad")
    assert less.counts().sum(axis=1).tolist() == [0, 0, 3] and less.classes == CLASSES
    assert less[2:] == example()[2:]
    read[::-1].copy().write_h5ad(tmp_path / "turned.h5ad")
    assert export.read(tmp_path / "turned.h5ad").counts().tolist() == example().counts().tolist()


@pytest.mark.slow
def test_what_anndata_makes_is_read(tmp_path):
    anndata = pytest.importorskip("anndata", reason=WHY)
    obs = {"cell_type": ["b", "a", "b", None], "library_id": ["s1", "s1", "s2", "s2"]}
    import pandas

    made = anndata.AnnData(
        np.ones((4, 2), np.float32),
        pandas.DataFrame(obs, index=list("wxyz")).astype("category"),
        obsm={"spatial": np.array([[1, 2], [3, 4], [5, 6], [7, 8]])},
    )
    made.uns["spatial"] = {name: {"scalefactors": {"microns_per_pixel": 0.5}} for name in ("s1", "s2")}
    made.write_h5ad(tmp_path / "made.h5ad")
    layouts = export.read(tmp_path / "made.h5ad", Given(size=(20, 30)))
    assert (layouts.classes, layouts.mpp, len(layouts)) == (("a", "b"), 0.5, 2)
    assert layouts.points.tolist() == [[2, 1], [4, 3], [6, 5]]  # the last cell has no class
    assert layouts.labels.tolist() == [1, 0, 1]


# -- other programs' ------------------------------------------------------------------------------------------


def test_scale_size_and_images_come_from_the_file(tmp_path):
    columns = {"cell_type": ["b", "a", "b"], "slide": ["s", "t", "s"], "sample": ["1", "2", "3"]}
    path = foreign(tmp_path / "x.h5ad", columns, libraries={"s": (0.5, (10, 20)), "t": (0.5, (15, 25))})
    layouts = export.read(path)
    assert layouts.size.tolist() == [[20, 40], [30, 50]] and layouts.mpp == 0.5
    assert layouts.source.tolist() == ["s", "t"] and layouts.points.tolist() == [[1, 0], [5, 4], [3, 2]]


def test_numbers_as_classes_are_names(tmp_path):
    layouts = export.read(foreign(tmp_path / "x.h5ad", {"leiden": [3, 1]}), Given(size=(9, 9), mpp=0.5))
    assert layouts.classes == ("1", "3") and layouts.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("columns", "spatial", "given", "message"),
    [
        (
            {"cell_type": ["a", "b"], "leiden": ["1", "2"]},
            None,
            Given((9, 9), 0.5),
            "cell_type and leiden of obs may hold",
        ),
        ({"area": [3, 4]}, None, Given((9, 9), 0.5), "no column with classes (class, cell_type, …), but area"),
        ({"class": ["a", "b"]}, None, Given((9, 9)), "give --mpp"),
        ({"class": ["a", "b"]}, None, Given(mpp=0.5), "give --size"),
        ({"class": ["a", "b"]}, np.zeros((3, 2)), Given((9, 9), 0.5), "a category for each of 3 cells"),
        ({"class": ["a", "b"]}, np.zeros(2), Given((9, 9), 0.5), "no array of N × 2 numbers"),
        ({"class": ["a", "b"]}, np.full((2, 2), np.inf), Given((9, 9), 0.5), "inf"),
        ({"class": ["a", "b"]}, np.full((2, 2), -4.0), Given((9, 9), 0.5), "lies outside"),
        ({"class": ["a", "b"], "slide": ["s", "t"], "fov": ["1", "2"]}, None, Given((9, 9), 0.5), "fov and slide"),
    ],
)
def test_what_cannot_be_known_is_a_line(tmp_path, columns, spatial, given, message):
    path = foreign(tmp_path / "x.h5ad", columns, spatial)
    with pytest.raises(CellscaperError) as caught:
        export.read(path, given)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_columns_class_and_image_are_taken_before_others(tmp_path):
    columns = {"class": ["a", "b"], "cell_type": ["c", "d"], "image": ["s", "t"], "fov": ["u", "u"]}
    layouts = export.read(foreign(tmp_path / "x.h5ad", columns), Given((9, 9), 0.5))
    assert layouts.classes == ("a", "b") and layouts.source.tolist() == ["s", "t"]


def test_the_check_reads_it_as_dots(path, tmp_path):
    assert format_of(path) == "h5ad"
    found, layouts = read_annotated(path, "h5ad"), example()
    assert np.array_equal(found.points.astype(np.float32), layouts.points)
    assert found.names == [CLASSES[label] for label in layouts.labels]
    (tmp_path / "no.h5ad").write_bytes(b"nothing")
    with pytest.raises(CellscaperError, match="is not an AnnData file"):
        read_annotated(tmp_path / "no.h5ad", "h5ad")
