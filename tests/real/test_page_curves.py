"""The curves of real tissue in the page of the bundled model come from the training images of BRCA-M2C."""

from scripts import script


def test_the_curves_are_todays(brca_m2c_path):
    maker = script("docs/make_curves.py")
    assert maker.FILE.read_text(encoding="utf-8") == maker.text(maker.curves(brca_m2c_path))
