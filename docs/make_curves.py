"""Makes the curves of real tissue that the page of the bundled model shows; needs the folder of BRCA-M2C.

    python docs/make_curves.py FOLDER

They are quantiles over windows of the 80 training images, on which the model was trained (`cellscaper.page.curves`).
"""

import json
import sys
from pathlib import Path
from typing import Any

from cellscaper.datasets import brca_m2c
from cellscaper.disk.files import write_text
from cellscaper.generators.pointsets.packaged import load_packaged
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.page.curves import real_curves

HERE = Path(__file__).resolve().parents[1]
FILE = HERE / "src/cellscaper/page/curves_brca_m2c.json"


def curves(folder: Path) -> dict[str, Any]:
    """The curves of the training images in the folder."""
    model, facts = load_packaged()
    records = [one for one in brca_m2c.read(brca_m2c.Settings(), folder) if one.split == "train"]
    images = [Layout(one.points, one.labels, one.image.shape[:2]) for one in records]
    cells = LayoutSet.build(images, tuple(facts["classes"]), facts["mpp"])
    return real_curves(cells, model.region, "BRCA-M2C (80 training images)")


def text(found: dict[str, Any]) -> str:
    """The file: a curve a line."""
    return json.dumps(found, indent=1).replace(",\n    ", ", ").replace("[\n    ", "[").replace("\n   ]", "]") + "\n"


if __name__ == "__main__":
    write_text(FILE, text(curves(Path(sys.argv[1]))))
