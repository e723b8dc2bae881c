"""Generators by name."""

import pytest

from cellscaper.errors import CellscaperError
from cellscaper.generators.maps.engine import MapDiffusion
from cellscaper.generators.registry import point_generator, trained_system


@pytest.mark.parametrize("name", ["adm", "spatial_diffusion", "topocellgen", "point_diffusion", "tmccg"])
def test_trained_systems_prepare_a_training_and_draw(name):
    system = trained_system(name)
    assert callable(system.prepare)
    assert callable(system.draw)
    with pytest.raises(CellscaperError, match=f"generator '{name}' must be trained"):
        point_generator(name)


@pytest.mark.parametrize("name", ["adm", "spatial_diffusion", "topocellgen"])
def test_map_generators_keep_their_own_functions(name):
    system = trained_system(name)
    assert isinstance(system, MapDiffusion)
    assert system.channels.__module__ == f"cellscaper.generators.{name}"


@pytest.mark.parametrize(
    "name",
    ["random", "hard_core", "permuted", "real_halves", "train_crops", "retrieval", "packaged_points"],
)
def test_untrained_generators_place_points(name):
    module = point_generator(name)
    assert module.__name__ == f"cellscaper.generators.{name}"
    assert callable(module.place)
    with pytest.raises(CellscaperError, match=f"generator '{name}' is not trained"):
        trained_system(name)


def test_unknown_names_are_refused():
    for choose in (trained_system, point_generator):
        with pytest.raises(CellscaperError, match="'gan'"):
            choose("gan")
