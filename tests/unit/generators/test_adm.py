"""ADM: the layout alone."""

import pytest
import torch

from cellscaper.errors import CellscaperError
from cellscaper.generators import adm

GRID = {"region": 64}


def test_the_maps_are_the_layout(recipe):
    layout = torch.rand(2, 3, 8, 8)
    assert adm.channels(recipe("adm", 64, {}, grid=GRID), 3) == 3
    assert adm.compose(layout, None) is layout


def test_a_density_is_refused(recipe):
    with pytest.raises(CellscaperError, match="adm takes no density"):
        adm.channels(recipe("adm", 64, {}, grid=GRID, density={"method": "gmm", "settings": {}}), 3)
