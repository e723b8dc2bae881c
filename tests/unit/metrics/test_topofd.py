import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import sqrtm

from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.metrics import topofd as module
from cellscaper.metrics.protocol import Comparison, all_scores
from cellscaper.metrics.topofd import topofd
from cellscaper.topology import matching, transport
from cellscaper.topology.barycentre import barycentre
from cellscaper.topology.persistence import alpha_diagram, rips_diagram

CLASSES = ("a", "b")
MEAN = ["mean_landscape"]


def layout(rng, counts, size=(128, 128)):
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.uint8)
    points = (rng.random((len(labels), 2)) * size).astype(np.float32) * np.float32(0.999)
    return Layout(points, labels, size)


def uniform(seed, n=60, cells=(25, 15), classes=CLASSES):
    rng = np.random.default_rng(seed)
    return LayoutSet.build([layout(rng, cells) for _ in range(n)], classes, 0.5)


def rings(seed, n=60):
    """Class a on one ring of random place and radius, class b uniform."""
    rng = np.random.default_rng(seed)
    items = []
    for one in (layout(rng, (25, 15)) for _ in range(n)):
        angle = rng.uniform(0, 2 * np.pi, 25)
        points = one.points.copy()
        points[:25] = np.stack([np.sin(angle), np.cos(angle)], axis=1) * rng.uniform(30, 50) + 64
        items.append(Layout(points, one.labels, one.size))
    return LayoutSet.build(items, CLASSES, 0.5)


def test_value_is_the_textbook_one_layout_by_layout():
    real, generated = rings(0), uniform(1)
    axis = np.linspace(0, 70, 12)
    expected = {}
    for label, name in enumerate(CLASSES):
        sides = []
        for layouts in (real, generated):
            rows = []
            for one in layouts:
                tents = [np.minimum(axis - b, d - axis) for b, d in alpha_diagram(one.of_class(label))]
                rows.append(np.max([np.zeros(12), *tents], axis=0))
            sides.append((np.mean(rows, axis=0), np.cov(np.array(rows).T) + 1e-9 * np.eye(12)))
        (m1, c1), (m2, c2) = sides
        expected[name] = ((m1 - m2) ** 2).sum() + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2)).real
    values = topofd(real, generated, samples=12, limit=70, protocols=MEAN)["topofd_mean_landscape"]
    assert values["a"] == pytest.approx(expected["a"], rel=1e-4)
    assert values["b"] == pytest.approx(expected["b"], rel=1e-3, abs=1e-3)
    assert values["mean"] == pytest.approx((values["a"] + values["b"]) / 2)


@pytest.mark.slow
def test_barycentres_matched_by_pot_give_our_score(monkeypatch):
    real, made, calls = uniform(0, 12, (12, 8)), uniform(1, 12, (12, 8)), []
    asked = {"samples": 10, "protocols": ["paper"]}
    ours = topofd(real, made, **asked)
    monkeypatch.setattr(matching, "plan", lambda *asked: calls.append(asked) or transport.plan(*asked))
    theirs = topofd(real, made, **asked, matching="pot")
    assert calls
    for name, values in ours.items():
        assert theirs[name] == pytest.approx(values, rel=1e-6)


def test_is_zero_with_itself_and_sees_which_class_lost_its_rings():
    values = topofd(rings(0), uniform(1), samples=50, limit=64, protocols=MEAN)["topofd_mean_landscape"]
    floor = topofd(rings(0), rings(2), samples=50, limit=64, protocols=MEAN)["topofd_mean_landscape"]
    assert values["a"] > 5 * floor["a"]
    assert values["b"] < 3 * floor["b"]
    assert topofd(rings(0), rings(0), samples=50, limit=64, protocols=MEAN)["topofd_mean_landscape"]["mean"] < 1e-6


def test_a_class_without_holes_on_both_sides_is_at_distance_zero():
    few = uniform(0, cells=(25, 2))
    assert topofd(few, few, samples=20, protocols=MEAN)["topofd_mean_landscape"]["b"] == 0


def test_refuses_fewer_layouts_than_samples_on_either_side():
    many, few = uniform(0, 30), uniform(1, 29)
    with pytest.raises(CellscaperError, match="29 generated layouts, needs at least 30"):
        topofd(many, few, samples=30)
    with pytest.raises(CellscaperError, match="29 real layouts"):
        topofd(few, many, samples=30)


def test_refuses_other_classes():
    with pytest.raises(CellscaperError, match="classes"):
        topofd(uniform(0), uniform(0, classes=("b", "a")), samples=10)


def textbook(make, sample, real, generated, start):
    """Oracle for one class: barycentre's landscape as mean, np.cov, scipy's root of the product."""
    sides = []
    for layouts in (real, generated):
        diagrams = [make(one.of_class(0)) for one in layouts]
        centre = barycentre(diagrams, initial=diagrams[0] if start else None).diagram
        rows = np.array([sample(one) for one in diagrams])
        sides.append((sample(centre), np.cov(rows.T) + 1e-9 * np.eye(rows.shape[1])))
    (m1, c1), (m2, c2) = sides
    return ((m1 - m2) ** 2).sum() + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2)).real


@pytest.mark.slow
def test_paper_protocol_has_the_barycentres_landscape_as_mean():
    real, generated = rings(0, 30), uniform(1, 30)
    axis = np.linspace(0, 70, 12)

    def tents(diagram):
        return np.max([np.zeros(12), *(np.minimum(axis - b, d - axis) for b, d in diagram)], axis=0)

    values = topofd(real, generated, samples=12, limit=70, protocols=["paper"])
    assert set(values) == {"topofd", "topofd_objective_real", "topofd_objective_generated"}
    assert values["topofd"]["a"] == pytest.approx(textbook(alpha_diagram, tents, real, generated, False), rel=1e-4)
    diagrams = [alpha_diagram(one.of_class(1)) for one in generated]
    assert values["topofd_objective_generated"]["b"] == pytest.approx(barycentre(diagrams).objective)


def test_released_protocol_is_rips_with_giotto_tdas_landscape_on_each_diagrams_own_axis():
    real, generated = rings(0, 30), uniform(1, 30)

    def own(diagram):
        axis = np.linspace(diagram[:, 0].min(), diagram[:, 1].max(), 12)
        middle, half = diagram.mean(axis=1), (diagram[:, 1] - diagram[:, 0]) / 2
        return np.maximum(half - np.abs(axis[:, None] - middle), 0).max(axis=1)

    values = topofd(real, generated, samples=12, protocols=["released"])["topofd_released"]
    assert values["a"] == pytest.approx(textbook(rips_diagram, own, real, generated, True), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["paper", "released"])
def test_barycentre_protocols_are_zero_with_the_same_set_and_see_rings(protocol):
    def value(real, generated):
        found = topofd(real, generated, samples=25, limit=64, protocols=[protocol])
        return found[{"paper": "topofd", "released": "topofd_released"}[protocol]]

    real = rings(0, 40)
    assert value(real, uniform(1, 40))["a"] > 3 * value(real, rings(2, 40))["a"]
    assert value(real, real)["mean"] < 1e-6
    if protocol == "paper":
        assert value(real, real[np.arange(len(real))[::-1]])["mean"] < 1e-6


def test_processes_change_nothing():
    real, generated = uniform(0, 12, (8, 6)), uniform(1, 12, (8, 6))
    once = topofd(real, generated, samples=12, protocols=["paper"])
    assert topofd(real, generated, samples=12, protocols=["paper"], threads=2) == once


def test_the_common_axis_ends_at_half_the_layouts_side():
    """A hole of 100 px radius in a 464 px layout: an axis that ended at 128 px would cut half of it off."""
    rng, layouts = np.random.default_rng(0), []
    for _ in range(24):
        angle = rng.uniform(0, 2 * np.pi, 90)
        ring = 232 + rng.uniform(150, 190) * np.stack([np.sin(angle), np.cos(angle)], axis=1)
        layouts.append(Layout(ring.astype(np.float32), np.zeros(90, np.uint8), (464, 464)))
    real, made = LayoutSet.build(layouts, ("a",), 0.5), uniform(0, 24, (25,), ("a",))
    made = replace(made, size=real.size)
    default = topofd(real, made, samples=12, protocols=MEAN)
    assert default == topofd(real, made, samples=12, limit=232, protocols=MEAN)
    assert default != topofd(real, made, samples=12, limit=128, protocols=MEAN)


def test_refuses_an_unknown_protocol():
    with pytest.raises(CellscaperError, match="'exact' is not known"):
        topofd(uniform(0), uniform(1), samples=10, protocols=["exact"])


@pytest.mark.parametrize("protocols", [["paper"], ["released"], ["mean_landscape"], ["paper", "mean_landscape"]])
def test_protocols_that_are_not_asked_for_have_no_value(protocols):
    real, made = uniform(0, 12, (8, 6)), uniform(1, 12, (8, 6))
    compared = Comparison(real, made, real, real, "points")
    found = all_scores("topofd", module, compared, module.Settings(samples=10, protocols=protocols))
    asked = {module.METRICS[name] for name in protocols}
    assert {name for name in module.METRICS.values() if not math.isnan(found[name]["mean"])} == asked
    assert math.isnan(found["topofd_test"]["mean"]) == ("paper" not in protocols)
