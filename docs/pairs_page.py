"""The page of docs/make_pairs.py, from its lines alone: what the test can see, a plain answer, all numbers."""

from collections.abc import Iterable, Sequence

Line = dict[str, str]
NAMES = {
    "real_only": "real only",
    "real_longer": "real only, as many steps as with pairs",
    "random/points": "+ random cells, quilted",
    "train_crops/points": "+ layouts of training crops, quilted anew",
    "retrieval/points": "+ retrieved layouts, quilted",
    "points/points": "+ point diffusion, quilted",
    "points_kept/points": "+ point diffusion, quilted, recall at least .7",
}
POINTS_OF_ALL = "+ point diffusion trained on the layouts of all 80 training images, quilted"
DETECTORS = {"decoupled": "decoupled", "unet": "U-Net", "mcspatnet": "MCSpatNet, a quarter of its width"}
MAIN = ("80", "decoupled", "points/points", "real_only")  # training images, detector, arm, what it is compared with
WHOLE = ("mean", "detection")

HEAD = """\
# Do generated pairs help a detector? BRCA-M2C

`docs/make_pairs.py` makes this page from [brca-pairs.csv](brca-pairs.csv); do not edit it. Each row with pairs adds
images that are put together from training images ([quilting](../methods.md#71-quilting-ours)) around layouts. All rows
see as many real crops; the synthetic ones come on top. F1 within 6 px, one to one, over the test images together.

| | |
|---|---|
| commands | `snakemake … --configfile workflow/presets/brca-pairs.yaml` and the presets that lie over it |
"""


def page(lines: Sequence[Line], shares: Sequence[Line]) -> str:
    """Markdown."""
    parts = [HEAD + "\n".join(_facts(lines)), "## What this test can see", *_visible(lines)]
    parts += ["## Answer", _answers(lines)]
    for images in dict.fromkeys(line["training_images"] for line in lines):
        own = [line for line in lines if line["training_images"] == images]
        parts += [f"## {images} training images", *_tables(own, images)]
    if shares:
        parts += ["## Share of synthetic crops", *_pilot(shares)]
    return "\n\n".join(parts) + "\n"


def _facts(lines: Sequence[Line]) -> list[str]:
    def of(key: str) -> str:
        return ", ".join(dict.fromkeys(word for line in lines for word in [line[key]] if word))

    share = ", ".join(dict.fromkeys(line["share"] for line in lines if float(line["share"].split()[0]) > 0))
    return [
        f"| commit | {of('commit')} |",
        f"| machine | {of('machine')} |",
        f"| share of synthetic crops | {share or 'none was run'} |",
        f"| n | {of('images')} test images; seeds (with few training images: draws of them) stand in brackets |",
    ]


# -- what can be seen ------------------------------------------------------------------------------------------


def _visible(lines: Sequence[Line]) -> list[str]:
    compared = [line for line in lines if line["against"] == "real_only" and line["smallest"]]
    if not compared:
        return ["No row with pairs was run beside *real only*, so nothing can be seen."]
    least = min((line for line in compared if line["class"] in WHOLE), key=lambda line: float(line["smallest"]))
    text = (
        f"**The smallest difference of F1 that any comparison below sees is {_number(least['smallest'])}** "
        f"({least['class']}, {DETECTORS[least['detector']]}, {least['training_images']} training images): a true "
        "difference of this size gives an interval without 0 in 8 of 10 such experiments. Smaller gains cannot be told "
        "from none. The unit is the test image; images and trainings are resampled together. With one training the "
        "interval is about the images alone and too narrow for a claim about the way of training."
    )
    classes = list(dict.fromkeys(line["class"] for line in compared))
    groups = dict.fromkeys((line["training_images"], line["detector"], line["arm"]) for line in compared)
    body = []
    for images, detector, arm in groups:
        own = {line["class"]: line for line in compared
               if (line["training_images"], line["detector"], line["arm"]) == (images, detector, arm)}  # fmt: skip
        some = next(iter(own.values()))
        cells = [_number(own[one]["smallest"]) for one in classes]
        body.append([f"{images}, {DETECTORS[detector]}: {_name(arm, images)} ({some['seeds']})", *cells])
    return [text, _table(["smallest visible difference to real only", *classes], body)]


# -- the answer ------------------------------------------------------------------------------------------------


def _answers(lines: Sequence[Line]) -> str:
    found = []
    keys = ("training_images", "detector", "arm", "against")
    for line in lines:
        if line["class"] == "mean" and line["difference"] and tuple(line[key] for key in keys) == MAIN:
            found.append(f"The question asked beforehand was the mean F1 of the first line: {verdict(line)}.\n")
    compared = [one for one in lines if one["against"] == "real_only" and one["difference"] and one["class"] == "mean"]
    for line in sorted(compared, key=lambda one: tuple(one[key] for key in keys) != MAIN):
        found.append(_answer([one for one in lines if _same(one, line)]))
    number = sum(bool(line["difference"]) for line in lines)
    found.append(
        f"- {number} differences are shown on this page. Of {number} intervals without a true difference about "
        f"{max(1, round(number / 20))} would exclude 0 by chance; none is corrected for that."
    )
    return "\n".join(found)


def _same(one: Line, two: Line) -> bool:
    return all(one[key] == two[key] for key in ("training_images", "arm", "detector", "against"))


def _answer(own: Sequence[Line]) -> str:
    first = own[0]
    who = f"{DETECTORS[first['detector']]}, {first['training_images']} training images"
    said = [f"{one['class']}: {verdict(one)}" for one in own if one["difference"]]
    return f"- **{_name(first['arm'], first['training_images'])}** ({who}): " + "; ".join(said) + "."


def verdict(line: Line) -> str:
    """Yes, no or not shown, by the interval."""
    low, high = float(line["low"]), float(line["high"])
    told = f"{_signed(line['difference'])} [{_signed(line['low'])}, {_signed(line['high'])}]"
    if low > 0:
        return f"**yes**, {told}"
    if high < 0:
        return f"**no, they harm**, {told}"
    return f"not shown, {told}"


# -- tables ----------------------------------------------------------------------------------------------------


def _tables(lines: Sequence[Line], images: str) -> list[str]:
    classes = list(dict.fromkeys(line["class"] for line in lines))
    parts = []
    for detector in dict.fromkeys(line["detector"] for line in lines):
        own = [line for line in lines if line["detector"] == detector]
        body = []
        for arm in dict.fromkeys(line["arm"] for line in own):
            cells = {line["class"]: line for line in own if line["arm"] == arm}
            some = next(iter(cells.values()))
            row = [_name(arm, images), some["seeds"], some["steps"], some["pairs"] or "–"]
            body.append([*row, *(_score(cells[one]) for one in classes)])
        parts += [f"### {DETECTORS[detector]}", _table(["F1 ± sd", "n", "steps", "pairs", *classes], body)]
        rows = []
        for arm, against in dict.fromkeys((line["arm"], line["against"]) for line in own if line["difference"]):
            cells = {line["class"]: line for line in own if (line["arm"], line["against"]) == (arm, against)}
            what = f"{_name(arm, images)}, minus {_name(against, images)}"
            rows.append([what, *(_gain(cells[one]) for one in classes)])
        if rows:
            parts.append(_table(["difference [95 %], p", *classes], rows))
    return parts


def _pilot(shares: Sequence[Line]) -> list[str]:
    tried = [line for line in shares if line["arm"] == "points"]
    if not tried:
        return ["The pilot was not run."]
    best = max(tried, key=lambda line: float(line["val_f1"]))
    text = (
        f"Of {', '.join(line['share'] for line in tried)} % the U-Net with {best['share']} % has the best mean F1 on "
        "the ten validation images (one seed, pairs of the point diffusion). Ten images choose badly: two fifths of "
        "their cells are lymphocytes, a tenth of the test images'."
    )
    body = [[line["share"] + " %", line["steps"], _number(line["val_f1"])] for line in shares]
    return [text, _table(["synthetic crops", "steps", "F1 mean, validation"], body)]


def _name(arm: str, images: str) -> str:
    return POINTS_OF_ALL if arm == "points/points" and images != "80" else NAMES[arm]


def _score(line: Line) -> str:
    if not line["f1"]:
        return "–"
    return _number(line["f1"]) + (f" ± {_number(line['sd'])}" if line["sd"] else "")


def _gain(line: Line) -> str:
    if not line["difference"]:
        return "–"
    interval = f"[{_signed(line['low'])}, {_signed(line['high'])}]"
    return f"{_signed(line['difference'])} {interval}, {_number(line['p'])}"


def _number(text: str) -> str:
    return f"{float(text):.3f}".removeprefix("0") if text else "–"


def _signed(text: str) -> str:
    value = float(text)
    return ("−" if value < 0 else "+") + f"{abs(value):.3f}".removeprefix("0")


def _table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    lines = [list(head), ["---"] * len(head), *map(list, body)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
