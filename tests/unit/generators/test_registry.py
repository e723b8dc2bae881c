"""Generators by name."""

import pytest

from cellscaper.errors import CellscaperError
from cellscaper.generators.registry import map_generator, point_generator


@pytest.mark.parametrize("name", ["adm", "spatial_diffusion", "topocellgen"])
def test_trained_generators_make_maps(name):
    module = map_generator(name)
    assert module.__name__ == f"cellscaper.generators.{name}"
    assert callable(module.channels)
    assert callable(module.compose)
    assert callable(module.extra)
    with pytest.raises(CellscaperError, match=f"generator '{name}' must be trained"):
        point_generator(name)


@pytest.mark.parametrize("name", ["random", "hard_core", "permuted", "real_halves", "train_crops", "retrieval"])
def test_untrained_generators_place_points(name):
    module = point_generator(name)
    assert module.__name__ == f"cellscaper.generators.{name}"
    assert callable(module.place)
    with pytest.raises(CellscaperError, match=f"generator '{name}' is not trained"):
        map_generator(name)


def test_unknown_names_are_refused():
    for choose in (map_generator, point_generator):
        with pytest.raises(CellscaperError, match="'tmccg'"):
            choose("tmccg")
