"""docs/files.md against the files that the `ci` preset makes."""

import json
import re
from fnmatch import fnmatch
from pathlib import Path

import h5py
import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs/files.md"


def table(heading):
    """The rows of the table below a heading."""
    text = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    assert rows
    return [[cell.replace("`", "") for cell in row] for row in rows]


@pytest.fixture(scope="module")
def files(finished):
    folder = finished.results
    return {str(file.relative_to(folder)): file for file in sorted(folder.rglob("*.h5"))}


def row_of(name):
    found = [row for row in table("Files") if fnmatch(name, row[0]) and name.count("/") == row[0].count("/")]
    assert len(found) == 1, f"{name} is described {len(found)} times"
    return found[0]


def arrays(group):
    names = []
    group.visititems(lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None)
    return names


def test_every_hdf5_file_is_on_the_page_and_every_row_has_a_file(files):
    rows = {row_of(name)[0] for name in files}
    assert rows == {row[0] for row in table("Files")}


def test_files_hold_what_the_page_says(files):
    layout_arrays = {row[0]: row[1] for row in table("Arrays of a LayoutSet")}
    plain = {name for name in layout_arrays if "/" not in name}
    for name, file in files.items():
        _, schema, sets, columns, other = row_of(name)
        with h5py.File(file) as content:
            assert content.attrs["schema"].decode() == schema and content.attrs["schema_version"] == 1
            assert {"stage", "git", "config", "seed", "inputs", "libraries"} <= set(
                json.loads(content.attrs["provenance"])
            )
            if schema != "cellscaper/layouts":
                assert set(arrays(content)) == set(re.split(r",\s*", other)), name
                continue
            assert "sets" in content or sets == "one", name
            groups = dict(content["sets"]) if "sets" in content else {"one": content}
            assert set(groups) <= set(re.findall(r"\w+", sets)), name
            for group in groups.values():
                found = [one for one in arrays(group) if not one.startswith("arrays/")]
                assert {one for one in found if "/" not in one} == plain, name
                own = {one.split("/")[1] for one in found if "/" in one}
                assert own <= set(re.findall(r"\w+", columns)), name
                for one in found:
                    kind = layout_arrays[one]
                    assert group[one].dtype.kind == "S" if kind == "text" else group[one].dtype == kind, (name, one)
            extra = {one for one in arrays(content) if one.startswith("arrays/")}
            assert extra <= {other}, name
