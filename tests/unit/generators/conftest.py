"""What generators are asked for and trained with, in few words."""

import pytest

from cellscaper.generators.protocol import Request, read_recipe


@pytest.fixture(scope="session")
def place():
    """Layouts of an untrained generator: place(module, targets, seeds, training cells, region, small, settings)."""

    def layouts(generator, targets, seeds, train=None, region=1, small="error", **settings):
        chosen, cells = generator.Settings(**settings), targets[:0] if train is None else train
        return generator.generate(Request(targets, seeds, chosen, cells, region, small)).sets["points"]

    return layouts


@pytest.fixture(scope="session")
def recipe():
    """Recipes as `train_layout` reads them: recipe(method, region, settings, training={…}, density={…}, …)."""

    def read(method, region, settings, training=None, **more):
        section = {"method": method, "region": region, "small": "error", "settings": settings, **more}
        return read_recipe({**section, "training": {"steps": 10, "lr": 1e-3, **(training or {})}})

    return read
