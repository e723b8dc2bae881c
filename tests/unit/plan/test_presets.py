"""Overlays that lie over each other: what a figure compares differs in one thing."""

from pathlib import Path

import pytest
import yaml

from cellscaper.plan import sections as settings
from cellscaper.plan.validation import validate

REPOSITORY = Path(__file__).resolve().parents[3]


def merged(*presets):
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8"))
    for name in presets:
        own = yaml.safe_load((REPOSITORY / f"workflow/presets/{name}.yaml").read_text(encoding="utf-8"))
        config = settings.overlay(config, own)
    validate(config, REPOSITORY / "workflow/schemas/config.schema.yaml")
    return config


@pytest.mark.parametrize("presets", [(), ("brca-small", "brca-steps")])
def test_points_of_a_curve_are_one_training_sampled_with_their_number_of_steps(presets):
    config = merged(*presets)
    lines = {}
    for row in settings.rows(config, "sampling_steps"):
        if "curve" in row:
            name, x = row["curve"]
            assert settings.experiment(config, row["experiment"])["sampling"]["steps"] == x
            lines.setdefault(name, set()).add(settings.shared_training(config, row["experiment"]))
    assert set(lines) == {"ADM", "TopoCellGen", "point diffusion"}
    assert all(len(trainings) == 1 for trainings in lines.values()), lines
    assert ("sampling_steps" in config["run"]["tables"]) and "lizard" in config["tables"]["sampling_steps"][
        "skip_datasets"
    ]
