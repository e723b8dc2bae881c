"""The script for QuPath's projects reads what our GeoJSON says. QuPath itself does not run here."""

import json
import re
from pathlib import Path

import numpy as np

from cellscaper.disk import export
from cellscaper.layouts import Layout, LayoutSet

SCRIPT = Path(__file__).resolve().parents[4] / "docs" / "qupath" / "import_cells.groovy"


def test_the_script_is_short_and_reads_members_that_files_have(tmp_path):
    script = SCRIPT.read_text(encoding="utf-8")
    assert script.count("\n") <= 15
    one = Layout(np.array([[1, 2]], np.float32), np.zeros(1, np.uint8), (9, 9), "slide", (100, 200))
    export.write(tmp_path / "slide.geojson", LayoutSet.build([one], ("a",), 0.25), {})
    said = json.loads((tmp_path / "slide.geojson").read_text(encoding="utf-8"))["cellscaper"]
    read = re.findall(r"\bsaid((?:\.\w+|\[0\])+)", script)
    assert read == [".mpp", ".layouts[0].origin"]
    assert (said["mpp"], said["layouts"][0]["origin"]) == (0.25, [100, 200])  # y, x, as the script takes it
    assert "def (y, x) = said" in script
