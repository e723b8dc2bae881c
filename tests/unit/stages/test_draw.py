import pytest

from cellscaper.errors import CellscaperError
from cellscaper.stages import draw_counts, draw_density, draw_persistence, draw_table


def layouts(files, *names, flag="layouts"):
    """The options of a list of layouts."""
    return {flag: [files / f"{name}.h5" for name in names], "decoders": ["points" for _ in names], "labels": names}


def words(flags):
    """A command line from options; the values of a list follow its option."""
    many = {name: value if isinstance(value, (list, tuple)) else [value] for name, value in flags.items()}
    return [str(word) for name, values in many.items() for word in (f"--{name}", *values)]


def run(monkeypatch, module, picture, **flags):
    given = words(flags)
    monkeypatch.setattr("sys.argv", ["stage", *given, "--picture", str(picture)])
    module.main()
    return picture.read_bytes()


def inputs(files, module):
    made = layouts(files, "a", "b")
    fitted = {"fitted": [files / "maps.h5"], "fitted-labels": ["real"]}
    return {
        draw_density: {"cells": files / "cells.h5", **fitted, **made},
        draw_counts: {"cells": files / "cells.h5", "windows": files / "windows.h5", "region": 64, **made},
        draw_persistence: {"windows": files / "windows.h5", **layouts(files, "a")},
        draw_table: {"windows": files / "windows.h5", "kind": "layouts", **layouts(files, "a", "b", flag="columns")},
    }[module]


@pytest.mark.slow
@pytest.mark.parametrize("module", [draw_density, draw_persistence, draw_table])
def test_a_picture_is_made(files, tmp_path, monkeypatch, module):
    assert run(monkeypatch, module, tmp_path / "out.png", **inputs(files, module)).startswith(b"\x89PNG")
    assert [file.name for file in tmp_path.iterdir()] == ["out.png"]


@pytest.mark.slow
def test_a_picture_with_random_crops_is_the_same_each_time(files, tmp_path, monkeypatch):
    given = inputs(files, draw_counts)
    first, second = (run(monkeypatch, draw_counts, tmp_path / name, **given) for name in ("1.png", "2.png"))
    assert first.startswith(b"\x89PNG")
    assert first == second


@pytest.mark.slow
def test_density_is_drawn_without_fitted_maps_too(files, tmp_path, monkeypatch):
    assert run(monkeypatch, draw_density, tmp_path / "out.png", fitted=[], **layouts(files, "a"))


@pytest.mark.parametrize(
    ("module", "change", "message"),
    [
        (draw_density, {"layouts": ["plain"]}, "plain.h5 has no array 'density'"),
        (draw_density, {"layouts": []}, "0 --layouts, 1 --fitted"),
        (draw_counts, {"region": "wide"}, "--region 'wide'"),
        (draw_persistence, {"layouts": ["plain"]}, "'plain' have no column 'target'"),
        (draw_table, {"columns": ["plain"]}, "'plain' have no column 'target'"),
    ],
)
def test_what_is_missing_is_said_in_one_line(files, tmp_path, monkeypatch, module, change, message):
    ((flag, value),) = change.items()
    change = layouts(files, *value, flag=flag) if isinstance(value, list) else change
    with pytest.raises(CellscaperError, match=message) as caught:
        run(monkeypatch, module, tmp_path / "out.png", **{**inputs(files, module), **change})
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_files_in_folders_with_blanks_quotes_and_umlauts_are_drawn(files, tmp_path, monkeypatch):
    folder = tmp_path / "my results (ä) 'x' \"y\""
    folder.mkdir()
    for name in ("windows.h5", "a.h5", "b.h5"):
        (folder / name).write_bytes((files / name).read_bytes())
    given = {"windows": folder / "windows.h5", **layouts(folder, "a", "b")}
    assert run(monkeypatch, draw_persistence, folder / "o u t.png", **given).startswith(b"\x89PNG")


def test_a_layout_without_its_label_is_told(files, tmp_path, monkeypatch):
    given = {**inputs(files, draw_counts), "labels": ["a"]}
    with pytest.raises(CellscaperError, match="1 --labels, 2 --layouts, 2 --decoders"):
        run(monkeypatch, draw_counts, tmp_path / "out.png", **given)
