from itertools import islice

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from cellscaper.errors import CellscaperError
from cellscaper.report.figures.palette import CLASS_COLOURS, colour, line_styles, tint

BRCA = ("lymphocyte", "epithelial", "stromal")
LIZARD = ("neutrophil", "epithelial", "lymphocyte", "plasma", "eosinophil", "connective")


def test_colours_are_the_same_for_a_class_everywhere_and_differ_within_a_dataset():
    assert colour(BRCA)[1] == colour(LIZARD)[1] == CLASS_COLOURS["epithelial"]
    for classes in (BRCA, LIZARD, ("a", "lymphocyte", "b"), tuple("abcdefgh")):
        assert len(set(colour(classes))) == len(classes)
    with pytest.raises(CellscaperError, match="no 9 different colours"):
        colour(tuple("abcdefghi"))
    with pytest.raises(CellscaperError, match="stromal, connective"):
        colour(("stromal", "connective"))


@pytest.mark.parametrize("shade", sorted(set(CLASS_COLOURS.values())))
def test_a_tint_starts_white_passes_its_colour_and_never_gets_lighter(shade):
    shades = tint(shade)(np.linspace(0, 1, 101))[:, :3]
    assert shades[0] == pytest.approx(1)
    assert np.abs(shades - to_rgb(shade)).max(axis=1).min() < 0.02
    assert (np.diff(shades.sum(axis=1)) <= 1e-9).all()


def test_the_first_28_lines_differ():
    first = list(islice(line_styles(), 57))
    assert len(set(first)) == 56 and first[56] == first[0]
