"""LayoutSet against plain lists of cells."""

import numpy as np
import pytest

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet, crop, evenly_spaced

CLASSES = ("lymphocyte", "tumour", "stroma")
CELLS = [5, 0, 3, 1, 0, 7]  # cells of each layout


def make(counts=CELLS, seed=0):
    """Layouts of different sizes with columns of several kinds."""
    rng = np.random.default_rng(seed)
    items = []
    for i, n in enumerate(counts):
        size = (40 + i, 50 + 2 * i)
        points = rng.uniform(0, size, (n, 2)).astype(np.float32)
        items.append(Layout(points, rng.integers(0, 3, n).astype(np.uint8), size, f"image_{i}", (i, 10 * i)))
    columns = {
        "split": np.array([("train", "test")[i % 2] for i in range(len(counts))]),
        "seed": np.arange(len(counts)) // 2,
        "requested": rng.integers(0, 9, (len(counts), 3)),
    }
    return LayoutSet.build(items, CLASSES, 0.5, columns)


def plain(layouts):
    """Everything in a LayoutSet as plain Python values, layout by layout."""
    return [
        (
            one.points.tolist(),
            one.labels.tolist(),
            one.size,
            one.source,
            one.origin,
            {name: np.asarray(column[i]).tolist() for name, column in layouts.columns.items()},
        )
        for i, one in enumerate(layouts)
    ]


def arrays(**changes):
    """The arguments of a valid LayoutSet of two layouts with three cells, with changes."""
    good = {
        "points": [[0, 0], [9.5, 19.5], [3, 4]],
        "labels": [0, 1, 2],
        "offsets": [0, 2, 3],
        "size": [[10, 20], [5, 5]],
        "classes": CLASSES,
        "mpp": 0.5,
        "source": ["a", "b"],
        "origin": [[0, 0], [1, 2]],
        "columns": {"split": ["train", "test"]},
    }
    return {**good, **changes}


# -- what is refused ---------------------------------------------------------------------------------------


def test_arrays_that_fit_together_are_taken_and_get_their_types():
    layouts = LayoutSet(**arrays())
    types = {"points": "f4", "labels": "u1", "offsets": "i8", "size": "i4", "origin": "i4"}
    assert {name: getattr(layouts, name).dtype for name in types} == {k: np.dtype(v) for k, v in types.items()}
    assert layouts.source.dtype.kind == "U"
    assert isinstance(layouts.columns["split"], np.ndarray)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offsets": [1, 2, 3]}, "offsets must start at 0 and never fall"),
        ({"offsets": [0, 3, 2]}, "offsets must start at 0 and never fall"),
        ({"offsets": []}, "offsets must start at 0 and never fall"),
        ({"offsets": [0, 2, 4]}, "3 points, 3 labels, offsets up to 4: must agree"),
        ({"labels": [0, 1]}, "3 points, 2 labels, offsets up to 3: must agree"),
        ({"points": [[0, 0]]}, "1 points, 3 labels, offsets up to 3: must agree"),
        ({"size": [[10, 20]]}, "column 'size' has 1 entries, expected one for each of 2 layouts"),
        ({"source": ["a", "b", "c"]}, "column 'source' has 3 entries, expected one for each of 2 layouts"),
        ({"origin": [[0, 0]]}, "column 'origin' has 1 entries, expected one for each of 2 layouts"),
        ({"columns": {"seed": [1]}}, "column 'seed' has 1 entries, expected one for each of 2 layouts"),
        ({"labels": [0, 1, 3]}, "label 3 is outside the 3 classes .*lymphocyte"),
        (
            {"points": [[0, 0], [10, 3], [3, 4]]},
            r"dot y=10 x=3 of layout a lies outside its 10×20 px \(h.*; 1 of 3 dots do",
        ),
        ({"points": [[0, 0], [1, 1], [3, 5]]}, "dot y=3 x=5 of layout b lies outside its 5×5 px"),
        ({"points": [[0, -0.5], [1, 1], [9, 4]]}, "dot y=0 x=-0.5 of layout a .* 2 of 3 dots do"),
        ({"points": [[0, 0], [1, np.nan], [3, 4]]}, "dot y=1 x=nan of layout a"),
        ({"points": [[0, 0], [1, 1], [3, 9]], "source": ["", ""]}, "of layout 1 lies outside"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_in_one_line(changes, message):
    with pytest.raises(CellscaperError, match=message) as caught:
        LayoutSet(**arrays(**changes))
    assert "\n" not in str(caught.value)


def test_a_dot_just_inside_the_far_border_is_taken():
    edge = np.nextafter(np.float32([10, 20]), np.float32(0))
    assert len(LayoutSet(**arrays(points=[[0, 0], edge, [3, 4]]))) == 2


# -- choosing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "which",
    [
        slice(None),
        slice(1, 4),
        slice(4, 1),
        slice(None, None, -1),
        slice(0, None, 2),
        [3, 0, 0, 5],
        np.array([-1, 2]),
        np.array([True, False, True, True, False, False]),
        np.zeros(6, bool),
        np.zeros(0, int),
    ],
)
def test_indexing_gives_the_same_as_picking_from_a_list(which):
    layouts = make()
    rows = np.arange(len(layouts))[which]
    expected = plain(layouts)
    chosen = layouts[which]
    assert plain(chosen) == [expected[i] for i in rows]
    assert (chosen.classes, chosen.mpp) == (layouts.classes, layouts.mpp)


def test_an_index_that_is_not_there_and_a_single_number_are_errors():
    with pytest.raises(IndexError):
        make()[[6]]
    with pytest.raises(TypeError, match="layout"):
        make()[2]


def test_where_keeps_the_layouts_that_have_all_values():
    layouts = make()
    expected = [row for row in plain(layouts) if row[-1]["split"] == "test" and row[-1]["seed"] == 1]
    assert len(expected) == 1
    assert plain(layouts.where(split="test", seed=1)) == expected
    assert len(layouts.where(split="none")) == 0
    assert layouts.where() == layouts


def test_where_names_the_columns_there_are():
    with pytest.raises(CellscaperError, match=r"no column 'fold'; they have \['requested', 'seed', 'split'\]"):
        make().where(fold=1)


# -- reading -----------------------------------------------------------------------------------------------


def test_counts_and_index_are_those_of_each_layout():
    layouts = make()
    expected = [[one.labels.tolist().count(k) for k in range(3)] for one in layouts]
    np.testing.assert_array_equal(layouts.counts(), expected)
    np.testing.assert_array_equal(layouts.index, [i for i, n in enumerate(CELLS) for _ in range(n)])


def test_a_layout_gives_the_cells_of_one_class():
    one = make().layout(5)
    expected = [p for p, label in zip(one.points.tolist(), one.labels, strict=True) if label == 1]
    assert one.of_class(1).tolist() == expected
    assert one.of_class(1).shape == (len(expected), 2)
    assert len(one) == 7


def test_common_size_needs_one_size():
    layouts = make()
    assert layouts[[2]].common_size() == (42, 54)
    with pytest.raises(CellscaperError, match="6 different layout sizes"):
        layouts.common_size()
    with pytest.raises(CellscaperError, match="0 different layout sizes"):
        layouts[:0].common_size()


def test_no_layouts_at_all_is_a_layout_set():
    none = LayoutSet.build([], CLASSES, 0.5)
    assert len(none) == 0
    assert none.counts().shape == (0, 3)
    assert plain(none) == []
    assert none[:0] == none


# -- equality ----------------------------------------------------------------------------------------------


def changed(name):
    layouts = make()
    fields = {
        k: getattr(layouts, k) for k in ("points", "labels", "offsets", "size", "classes", "mpp", "source", "origin")
    }
    fields["columns"] = layouts.columns
    if name == "points":
        fields["points"] = layouts.points.copy()
        fields["points"][0, 0] = np.nextafter(fields["points"][0, 0], np.float32(0))
    elif name == "labels":
        fields["labels"] = (layouts.labels + 1) % 3
    elif name == "offsets":
        fields["offsets"] = layouts.offsets + np.array([0, -1, 0, 0, 0, 0, 0])
        fields["size"] = np.full((6, 2), 100)
    elif name in ("size", "origin"):
        fields[name] = getattr(layouts, name) + 1
    elif name == "classes":
        fields["classes"] = CLASSES[::-1]
    elif name == "mpp":
        fields["mpp"] = 0.25
    elif name == "source":
        fields["source"] = layouts.source[::-1]
    elif name == "column value":
        fields["columns"] = {**layouts.columns, "seed": layouts.columns["seed"] + 1}
    elif name == "column more":
        fields["columns"] = {**layouts.columns, "image": np.arange(6)}
    return LayoutSet(**fields)


def test_equal_content_is_equal():
    assert make() == changed("nothing") == make()[:]


@pytest.mark.parametrize(
    "name",
    ["points", "labels", "offsets", "size", "origin", "classes", "mpp", "source", "column value", "column more"],
)
def test_any_difference_is_unequal(name):
    assert make() != changed(name)


def test_other_types_are_unequal_and_sets_have_no_hash():
    assert make() != [1]
    with pytest.raises(TypeError):
        hash(make())


# -- making ------------------------------------------------------------------------------------------------


def test_building_from_single_layouts_joins_them_in_order():
    layouts = make()
    again = LayoutSet.build(list(layouts), layouts.classes, layouts.mpp, layouts.columns)
    assert again == layouts
    joined = LayoutSet.build([*make(seed=1), *make(seed=2)], CLASSES, 0.5)
    assert [row[:-1] for row in plain(joined)] == [row[:-1] for row in plain(make(seed=1)) + plain(make(seed=2))]


def test_with_columns_adds_and_replaces_and_leaves_the_original():
    layouts = make()
    more = layouts.with_columns(seed=np.full(6, 9), image=np.arange(6))
    assert more.columns["seed"].tolist() == [9] * 6
    assert set(more.columns) == {"split", "seed", "requested", "image"}
    assert layouts == make()


def test_crop_keeps_the_cells_of_a_window_in_its_own_coordinates():
    rng = np.random.default_rng(3)
    points = np.concatenate([rng.uniform(0, (60, 80), (200, 2)), [[10, 20], [30, 20], [10, 50], [29.5, 49.5]]])
    layout = Layout(points.astype(np.float32), rng.integers(0, 3, 204).astype(np.uint8), (60, 80), "s", (100, 7))
    part = crop(layout, 10, 20, 20, 30)
    inside = [
        ([y - 10, x - 20], label)
        for (y, x), label in zip(layout.points.tolist(), layout.labels.tolist(), strict=True)
        if 10 <= y < 30 and 20 <= x < 50
    ]
    assert 20 < len(inside) < 60
    np.testing.assert_allclose(part.points, [p for p, _ in inside], atol=1e-5)
    assert part.labels.tolist() == [label for _, label in inside]
    assert (part.size, part.source, part.origin) == ((20, 30), "s", (110, 27))
    assert [0, 0] in part.points.tolist()  # the near border belongs to the window, the far one does not
    assert [19.5, 29.5] in part.points.tolist()


def test_evenly_spaced_rows_are_distinct_from_the_first_to_the_last():
    for total in range(1, 90):
        for n in range(1, 120):
            rows = evenly_spaced(total, n).tolist()
            assert len(set(rows)) == len(rows) == min(n, total)
            assert rows[0] == 0
            assert n == 1 or rows[-1] == total - 1
    assert evenly_spaced(10, 4).tolist() == [0, 3, 6, 9]
