import json

import pytest

from cellscaper.errors import CellscaperError
from cellscaper.stages import draw_counts, draw_density, draw_persistence, draw_table


def columns(files, *names):
    return json.dumps([[name, str(files / f"{name}.h5"), "points"] for name in names])


def run(monkeypatch, module, picture, **flags):
    given = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    monkeypatch.setattr("sys.argv", ["stage", *given, "--picture", str(picture)])
    module.main()
    return picture.read_bytes()


def inputs(files, module):
    made = columns(files, "a", "b")
    fitted = json.dumps([["real", str(files / "maps.h5")]])
    return {
        draw_density: {"cells": files / "cells.h5", "fitted": fitted, "rows": made},
        draw_counts: {"cells": files / "cells.h5", "patches": files / "patches.h5", "region": 64, "columns": made},
        draw_persistence: {"patches": files / "patches.h5", "columns": columns(files, "a")},
        draw_table: {"patches": files / "patches.h5", "columns": made, "kind": "layouts"},
    }[module]


@pytest.mark.parametrize("module", [draw_density, draw_persistence, draw_table])
def test_a_picture_is_made(files, tmp_path, monkeypatch, module):
    assert run(monkeypatch, module, tmp_path / "out.png", **inputs(files, module)).startswith(b"\x89PNG")
    assert [file.name for file in tmp_path.iterdir()] == ["out.png"]


def test_a_picture_with_random_crops_is_the_same_each_time(files, tmp_path, monkeypatch):
    given = inputs(files, draw_counts)
    first, second = (run(monkeypatch, draw_counts, tmp_path / name, **given) for name in ("1.png", "2.png"))
    assert first.startswith(b"\x89PNG")
    assert first == second


def test_density_is_drawn_without_fitted_maps_too(files, tmp_path, monkeypatch):
    made = columns(files, "a")
    assert run(monkeypatch, draw_density, tmp_path / "out.png", rows=made, fitted="[]")


@pytest.mark.parametrize(
    ("module", "change", "message"),
    [
        (draw_density, {"rows": ["plain"]}, "plain.h5 has no array 'density'"),
        (draw_density, {"rows": []}, "0 --rows, 1 --fitted"),
        (draw_counts, {"region": "wide"}, "--region 'wide'"),
        (draw_persistence, {"columns": ["plain"]}, "'plain' have no column 'target'"),
        (draw_table, {"columns": ["plain"]}, "'plain' have no column 'target'"),
    ],
)
def test_what_is_missing_is_said_in_one_line(files, tmp_path, monkeypatch, module, change, message):
    change = {flag: columns(files, *value) if isinstance(value, list) else value for flag, value in change.items()}
    with pytest.raises(CellscaperError, match=message) as caught:
        run(monkeypatch, module, tmp_path / "out.png", **{**inputs(files, module), **change})
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
