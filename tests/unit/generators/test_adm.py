"""ADM: the layout alone."""

import pytest
import torch

from cellscaper.errors import CellscaperError
from cellscaper.generators import adm


def test_the_maps_are_the_layout():
    layout = torch.rand(2, 3, 8, 8)
    assert adm.channels({"density": None}, 3) == 3
    assert adm.compose(layout, None) is layout


def test_a_density_is_refused():
    with pytest.raises(CellscaperError, match="adm takes no density"):
        adm.channels({"density": {"method": "gmm"}}, 3)
