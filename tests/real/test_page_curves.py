"""The curves of real tissue in the page of the bundled model come from the training images of BRCA-M2C."""

import importlib.util
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_curves_are_todays(brca_m2c_path):
    spec = importlib.util.spec_from_file_location("make_curves", DOCS / "make_curves.py")
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    assert maker.FILE.read_text(encoding="utf-8") == maker.text(maker.curves(brca_m2c_path))
