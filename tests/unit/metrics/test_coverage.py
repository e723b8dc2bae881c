"""Precision and coverage against loops over the definition, and on layouts that are known."""

import math

import numpy as np
import pytest

from cellscaper.metrics.coverage import precision_and_coverage


def by_loops(real, images, made):
    radii = []
    for i, one in enumerate(real):
        others = [
            math.dist(one, two) for k, two in enumerate(real) if k != i and (not images[i] or images[k] != images[i])
        ]
        radii.append(min(others))
    precise = [any(math.dist(x, y) <= r for x, r in zip(real, radii, strict=True)) for y in made]
    covered = [any(math.dist(x, y) <= r for y in made) for x, r in zip(real, radii, strict=True)]
    return sum(precise) / len(precise), sum(covered) / len(covered)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_equals_a_loop_over_the_definition(seed, named):
    rng = np.random.default_rng(seed)
    real, made = rng.normal(size=(24, 3)), 1.3 * rng.normal(size=(17, 3))
    images = [f"image {k}" for k in rng.integers(0, 5, 24)] if named else [""] * 24
    assert precision_and_coverage(real, images, made) == pytest.approx(by_loops(real, images, made))


def test_copies_have_both_one_mode_has_precision_alone_and_noise_neither():
    rng = np.random.default_rng(0)
    centres = np.repeat(10 * np.eye(6), 20, axis=0)
    real = centres + rng.normal(0, 0.3, centres.shape)
    images = [f"{i % 4}" for i in range(len(real))]
    assert precision_and_coverage(real, images, real) == (1, 1)
    precision, coverage = precision_and_coverage(real, images, real[:20])
    assert precision == 1 and coverage == pytest.approx(1 / 6, abs=0.01)
    assert precision_and_coverage(real, images, rng.normal(50, 1, (30, 6))) == (0, 0)


def test_windows_of_one_image_have_no_balls():
    real = np.random.default_rng(0).normal(size=(5, 2))
    assert np.isnan(precision_and_coverage(real, ["one"] * 5, real)).all()
