"""Writes the calculated tables of docs/gpu.md and docs/large-sets.md, between their `made` marks.

python docs/make_gpu.py
"""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from cellscaper.plan import cards, flops
from cellscaper.plan.cards import CARDS, call_seconds, step_seconds
from cellscaper.plan.configuration import configuration, in_files
from cellscaper.plan.cost import CALL, TRAININGS, Costs
from cellscaper.plan.house import ROOT
from cellscaper.plan.numbers import spaced
from cellscaper.plan.outputs import Outputs

PAGE, SETS_PAGE = (Path(__file__).with_name(name) for name in ("gpu.md", "large-sets.md"))
TITLES = [card.title for card in CARDS.values()]
ONE = {"seeds": [0]}
RUNS = {
    "`make paper`": {},
    "`make paper`, BRCA-M2C alone": {"run": {"datasets": ["brca_m2c"]}},
    "`make paper`, Lizard alone": {"run": {"datasets": ["lizard"]}},
    "BRCA-M2C, one seed": {"run": {"datasets": ["brca_m2c"]}, **ONE},
    "Lizard, one seed": {"run": {"datasets": ["lizard"]}, **ONE},
}


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def costs() -> str:
    """Card-days and disk of whole runs."""
    runs = {name: (own,) for name, own in RUNS.items()}
    preset = ROOT / "workflow" / "presets" / "gpu-day.yaml"
    if preset.exists():
        runs["`make gpu-day`"] = tuple(content for _, content in in_files([preset]))
    rows = []
    for name, own in runs.items():
        every = [Costs(Outputs(configuration(*own)), card) for card in CARDS.values()]
        first = every[0]
        trainings = sum(group.jobs for group in first.groups if group.rule in TRAININGS)
        weights, images = first.kept(*TRAININGS) / 1e9, first.kept("paint_images") / 1e9
        days = [f"{one.hours / 24:.{0 if one.hours > 2400 else 1}f}" for one in every]
        rows.append([name, str(trainings), *days, f"{first.longest / 24:.1f}", f"{weights:.0f}", f"{images:.0f}"])
    head = ["run", "trainings", *[f"{title}-days" for title in TITLES], "longest chain, days on an A100"]
    return table([*head, "weights, GB", "images, GB"], rows)


def parts() -> str:
    """A100-days of `make paper` by data set and rule."""
    found = Costs(Outputs(configuration()), CARDS["a100"])
    rules = list(dict.fromkeys(group.rule for group in found.groups))
    rows = []
    for dataset in found.config["run"]["datasets"]:
        days = {rule: 0.0 for rule in rules}
        for group in found.groups:
            days[group.rule] += group.hours / 24 if group.dataset == dataset else 0.0
        rows.append([dataset, *[f"{day:.1f}" for day in days.values()]])
    return table(["A100-days of", *[f"`{rule}`" for rule in rules]], rows)


def steps() -> str:
    """Milliseconds of a training step, without gaps and floors, and FLOPs, of the papers' networks."""
    outputs = Outputs(configuration())
    rows = []
    for title, kind, name, batch, checkpoint in (
        ("layout 256 px", "generators", "adm_counts", 5, False),
        ("layout 256 px, checkpoint", "generators", "adm_counts", 5, True),
        ("layout 64 px (`adm_compact`)", "generators", "adm_compact", 5, False),
        ("image tc", "painters", "tc", 6, False),
        ("image sd", "painters", "sd", 3, False),
        ("image sd, checkpoint", "painters", "sd", 3, True),
        ("ResNet-50 features", "features", "tc_released", 32, False),
        ("U-Net", "detectors", "unet", 8, False),
        ("MCSpatNet", "detectors", "mcspatnet", 1, False),
    ):
        settings = outputs.experiments.recipe(name) if kind == "generators" else outputs.config[kind][name]
        method, training = settings["method"], settings["training"]
        assert training["batch"] == batch
        cells = []
        for wide in (True, False) if kind in ("generators", "painters") else (False,):
            flops.WIDE_NORMS = wide
            work = flops.NETWORKS[kind, method](settings, 3)
            own = (batch, training["precision"], 0.0)
            cells.append([step_seconds(work, card, *own, checkpoint=checkpoint, ema=True) for card in CARDS.values()])
        flops.WIDE_NORMS, flop = False, batch * work.training(checkpoint)
        shown = [" / ".join(f"{1000 * one[k] / cards.GAPS:.0f}" for one in cells) for k in range(len(CARDS))]
        rows.append([title, f"{work.parameters / 1e6:.0f} M", f"{flop / 1e12:.1f}", *shown])
    return table(["training step", "parameters", "TFLOP", *[f"{title}, ms" for title in TITLES]], rows)


def calls() -> str:
    """Milliseconds of one sampling step of one sample."""
    outputs = Outputs(configuration())
    layout = flops.layout_maps(outputs.experiments.recipe("adm_counts"), 3)
    rows = []
    for title, work, batch, precision in (
        ("layout, fp32", layout, 16, "fp32"),
        ("layout, bf16", layout, 16, "bf16"),
        ("image tc, fp32", flops.painter(outputs.config["painters"]["tc"], 3), 8, "fp32"),
        ("image sd, fp32", flops.painter(outputs.config["painters"]["sd"], 3), 8, "fp32"),
    ):
        ms = [1000 * call_seconds(work, card, batch, precision, 0.0) / batch / cards.GAPS for card in CARDS.values()]
        rows.append([title, f"{work.forward / 1e12:.2f}", *[f"{one:.0f}" for one in ms]])
    return table(["one sampling step of one", "TFLOP", *[f"{title}, ms" for title in TITLES]], rows)


# a set of the bundled model, measured on docs/large-sets.md: seconds a layout and a part, bytes a layout and an image
LAYOUT, PART, LAYOUT_BYTES, IMAGE_BYTES = 0.1, 5.0, 495, 179e3
SETS = ((1_000, 4), (10_000, 50), (100_000, 200), (1_000_000, 1_000))  # layouts, parts


def image_seconds() -> float:
    """Seconds that an image of the papers' painter `tc` takes on an A100, in full batches."""
    block = Outputs(configuration()).config["painters"]["tc"]
    sampling, work = block["sampling"], flops.painter(block, 3)
    batch, precision = sampling["batch"], sampling.get("precision", "fp32")
    return sampling["steps"] * call_seconds(work, CARDS["a100"], batch, precision, CALL) / batch


def sets() -> str:
    """Time and disk of generated sets."""
    rows, image = [], image_seconds()
    for n, number in SETS:
        core = n * LAYOUT + number * PART
        times = [core, *(core / number * -(-number // cores) for cores in (2, 64)), n * image]
        disk = [size(n * one) for one in (LAYOUT_BYTES, IMAGE_BYTES)]
        rows.append([spaced(n), spaced(number), *map(time, times[:3]), *disk, time(times[3])])
    head = ["layouts", "parts", "time of one core", "time, 2 cores", "time, 64 cores"]
    return table([*head, "layouts on disk", "images on disk", "time of an A100 to paint"], rows)


def painting() -> str:
    """The time of an image, in words."""
    return f"The painter `tc` of the papers' size with 100 steps takes {image_seconds():.1f} s an image on an A100."


def size(number: float) -> str:
    """Bytes as ``5.0 MB`` or ``180 GB``: two digits."""
    unit, length = ("GB", 1e9) if number >= 1e9 else ("MB", 1e6)
    amount = float(f"{number / length:.2g}")
    return f"{amount:.0f} {unit}" if amount >= 10 else f"{amount:.1f} {unit}"


def time(seconds: float) -> str:
    """``40 s``, ``10 min``, ``3.1 h`` or ``49 days``: two digits."""
    for unit, length in (("days", 48 * 3600), ("h", 3600), ("min", 60)):
        if seconds >= length:
            amount = seconds / (86400 if unit == "days" else length)
            return f"{amount:.0f} {unit}" if amount >= 9.95 else f"{amount:.1f} {unit}"
    return f"{seconds:.0f} s"


MADE = {"costs": costs, "parts": parts, "steps": steps, "calls": calls}
SETS_MADE = {"sets": sets, "painting": painting}


def page(text: str, made: Mapping[str, Callable[[], str]] = MADE) -> str:
    """A page with its tables made anew."""
    for name, make in made.items():
        mark = rf"(<!-- made: {name} -->\n).*?(<!-- end -->)"
        text, n = re.subn(mark, lambda found, make=make: f"{found[1]}{make()}\n{found[2]}", text, flags=re.DOTALL)
        if n != 1:
            sys.exit(f"docs/gpu.md or docs/large-sets.md has no mark of the table {name}")
    return text


if __name__ == "__main__":
    for file, made in ((PAGE, MADE), (SETS_PAGE, SETS_MADE)):
        file.write_text(page(file.read_text(encoding="utf-8"), made), encoding="utf-8")
