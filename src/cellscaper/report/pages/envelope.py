"""The results of `cellscaper envelope`: a page that needs no other file, a table of all values, a picture."""

import csv
import io
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from PIL import Image

from cellscaper.disk.files import atomic
from cellscaper.disk.hdf5 import Provenance
from cellscaper.envelopes.statistics import STATISTICS
from cellscaper.envelopes.trial import Data, Trial, departure, title
from cellscaper.report.figures.envelopes import envelope_figure, shown
from cellscaper.report.pages.data_uri import data_uri

FIELDS = ("null", "statistic", "first", "second", "r_px", "r_um", "observed", "low", "middle", "high", "outside",
          "p_function", "p_statistic", "p")  # fmt: skip


def write_results(
    page: Path,
    trials: Sequence[Trial],
    about: Sequence[str],
    data: Data,
    notes: Sequence[str],
    alpha: float,
    provenance: Provenance,
) -> list[Path]:
    """Write the page, and .csv and .png beside it, all or none; ``about`` says what each null model is."""
    table, picture = page.with_suffix(".csv"), page.with_suffix(".png")
    drawn = [_drawn(trial, data) for trial in trials]
    text = envelope_page(trials, drawn, about, data, notes, alpha, provenance)
    with atomic(page) as one, atomic(table) as two, atomic(picture) as three:
        _stacked(drawn).save(three, "PNG", optimize=True)
        with open(two, "w", encoding="utf-8", newline="") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(FIELDS)
            out.writerows(row for trial in trials for row in table_rows(trial, data))
        one.write_text(text, encoding="utf-8")
    return [page, table, picture]


def table_rows(trial: Trial, data: Data) -> list[list[str]]:
    """A row (FIELDS) for each function and distance; rows of mixing have a class in place of a distance."""
    rows = []
    for one, observed, envelope in zip(trial.functions, trial.observed, trial.tested.envelopes, strict=True):
        p = [f"{envelope.p:.6g}", f"{trial.tested.groups[one.statistic]:.6g}", f"{trial.tested.p:.6g}"]
        at = data.radii.middles if one.statistic == "pair correlation" else data.radii.ends
        for k, value in enumerate(observed):
            second = data.classes[k if one.second < 0 else one.second]
            where = ["", ""] if one.second < 0 else [f"{at[k]:g}", f"{at[k] * data.mpp:.6g}"]
            numbers = [f"{x:.9g}" for x in (value, envelope.low[k], envelope.middle[k], envelope.high[k])]
            rows.append([trial.null, one.statistic, data.classes[one.first], second, *where, *numbers,
                         str(envelope.outside[k]), *p])  # fmt: skip
    return rows


def envelope_page(
    trials: Sequence[Trial],
    pictures: Sequence[Image.Image],
    about: Sequence[str],
    data: Data,
    notes: Sequence[str],
    alpha: float,
    provenance: Provenance,
) -> str:
    """The page as text, with a picture for each trial."""
    template = files("cellscaper.report.pages").joinpath("envelope.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(
        title="Cells against null models",
        notes=notes[1:],
        described=notes[0],
        trials=[_part(*one, data, alpha) for one in zip(trials, pictures, about, strict=True)],
        alpha=f"{100 * alpha:g} %",
        masked=any(one.region.mask is not None for one in data.layouts),
        provenance=_facts(provenance),
    )


def _part(trial: Trial, picture: Image.Image, about: str, data: Data, alpha: float) -> dict[str, Any]:
    p, least = trial.tested.p, 1 / (trial.n + 1)
    said = (
        f"The cells do not lie as this null model has them (p ≤ {alpha:g})."
        if p <= alpha
        else f"The functions do not tell the cells from this null model (p > {alpha:g}). That does not prove the model."
    )
    return {
        "name": trial.null,
        "about": about[0].upper() + about[1:],
        "p": f"{p:.3g}",
        "least": f"{least:.3g}",
        "n": trial.n,
        "said": said,
        "number": len(trial.functions),
        "picture": data_uri(picture, "PNG", optimize=True),
        "groups": [
            {
                "name": name,
                "p": f"{trial.tested.groups[name]:.3g}",
                "rows": [
                    (
                        title(one, data.classes),
                        f"{trial.tested.envelopes[k].p:.3g}",
                        departure(trial, k, data) or "inside",
                    )
                    for k, one in enumerate(trial.functions)
                    if one.statistic == name
                ],
                "shown": len(shown(trial, name)),
            }
            for name in STATISTICS
            if name in trial.tested.groups
        ],
    }


def _drawn(trial: Trial, data: Data) -> Image.Image:
    """The figure of a trial, in 64 colours."""
    held = io.BytesIO()
    envelope_figure(trial, data).savefig(held, format="png", dpi=150)
    with Image.open(held) as picture:
        return picture.convert("RGB").quantize(64)


def _stacked(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures of one width, one below the other."""
    if len(pictures) == 1:
        return pictures[0]
    whole = Image.new("RGB", (pictures[0].width, sum(one.height for one in pictures)), "white")
    for i, one in enumerate(pictures):
        whole.paste(one.convert("RGB"), (0, sum(above.height for above in pictures[:i])))
    return whole.quantize(64)


def _facts(provenance: Provenance) -> list[tuple[str, str]]:
    git = provenance["git"]
    inputs = [f"{one['file']} (sha256 {one['sha256'][:16]}…)" for one in provenance["inputs"].values()]
    return [
        ("cells and mask", ", ".join(inputs)),
        (
            "settings",
            ", ".join(f"{key} {_words(value)}" for key, value in provenance["config"].items() if value is not None),
        ),
        ("seed", str(provenance["seed"])),
        (
            "cellscaper",
            f"{provenance['cellscaper']}, {git if isinstance(git, str) else ' '.join(map(str, git.values()))}",
        ),
        ("python", provenance["python"]),
    ]


def _words(value: object) -> str:
    return " and ".join(map(str, value)) if isinstance(value, list) else str(value)
