"""docs/gpu.md: its calculated tables are those of the code, and near those of a second estimate."""

import re

import pytest

from cellscaper.plan import flops
from cellscaper.plan.cards import CARDS, GAPS, call_seconds, step_seconds
from cellscaper.plan.configuration import configuration
from cellscaper.plan.cost import Costs
from cellscaper.plan.house import ROOT
from cellscaper.plan.outputs import Outputs
from scripts import script

PAGE = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def maker():
    return script("docs/make_gpu.py")


@pytest.mark.slow
def test_the_page_is_up_to_date(maker):
    assert maker.page(PAGE) == PAGE, "settings, rates or tables changed: run `python docs/make_gpu.py`"


def test_the_page_of_large_sets_is_up_to_date(maker):
    text = maker.SETS_PAGE.read_text(encoding="utf-8")
    assert maker.page(text, maker.SETS_MADE) == text, "settings or rates changed: run `python docs/make_gpu.py`"


def test_an_image_of_a_set_takes_as_long_as_one_of_the_plan(maker, outputs):
    costs, n = Costs(outputs, CARDS["a100"]), 80_000
    block = outputs.config["painters"]["tc"]
    cost = costs._calls(flops.painter(block, 3), n, block["sampling"]["steps"], block["sampling"]["batch"], "fp32")
    assert maker.image_seconds() == pytest.approx(cost.seconds / n) == pytest.approx(4.2, abs=0.05)


def test_times_of_sets_have_a_unit_that_fits(maker):
    times = {31.4: "31 s", 120: "2.0 min", 1250: "21 min", 11000: "3.1 h", 4.2e6: "49 days"}
    assert {seconds: maker.time(seconds) for seconds in times} == times


def test_the_page_has_the_rates_and_floors_of_the_code():
    part = PAGE.split("## Rates")[1]
    for card in CARDS.values():
        row = next(line for line in part.splitlines() if line.startswith(f"| {card.title} |"))
        rates = [float(number) for number in re.findall(r"\| ([0-9.]+)", row)]
        assert rates == [card.bf16 / 1e12, card.tf32 / 1e12, card.fp32 / 1e12, card.bandwidth / 1e12, card.memory]


SECOND = [  # ms on an A100, H100, A6000 of an estimate that replayed the networks' kernels; None: not estimated
    ("generators", "adm_counts", True, (367, 193, 809)),
    ("generators", "adm_counts", False, (295, None, None)),
    ("generators", "adm_compact", True, (54, 29, 118)),
    ("painters", "sd", True, (534, 284, 1200)),
    ("painters", "sd", False, (398, None, None)),
    ("detectors", "unet", True, (29, 15, 66)),
    ("detectors", "mcspatnet", True, (20, 9, 40)),
]


@pytest.fixture(scope="module")
def outputs():
    return Outputs(configuration())


@pytest.mark.parametrize(("kind", "name", "wide", "ms"), SECOND)
def test_a_training_step_is_near_a_second_estimate(outputs, monkeypatch, kind, name, wide, ms):
    monkeypatch.setattr(flops, "WIDE_NORMS", wide)
    settings = outputs.experiments.recipe(name) if kind == "generators" else outputs.config[kind][name]
    work, training = flops.NETWORKS[kind, settings["method"]](settings, 3), settings["training"]
    for card, expected in zip(("a100", "h100", "a6000"), ms, strict=True):
        if expected:
            own = (training["batch"], training["precision"], 0.0)
            seconds = step_seconds(work, CARDS[card], *own, ema=bool(training["ema"])) / GAPS
            assert 1000 * seconds == pytest.approx(expected, rel=0.22)


@pytest.mark.parametrize(("precision", "ms"), [("fp32", (37.5, 17.5, 74)), ("bf16", (24.0, 12.5, 53))])
def test_a_sampling_step_is_near_a_second_estimate(outputs, monkeypatch, precision, ms):
    monkeypatch.setattr(flops, "WIDE_NORMS", True)
    work = flops.layout_maps(outputs.experiments.recipe("adm_counts"), 3)
    for card, expected in zip(("a100", "h100", "a6000"), ms, strict=True):
        seconds = call_seconds(work, CARDS[card], 16, precision, 0.0) / 16 / GAPS
        assert 1000 * seconds == pytest.approx(expected, rel=0.1)
