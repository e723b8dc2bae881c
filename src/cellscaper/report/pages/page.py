"""The report of a run: one HTML file that needs no other, with every table, every figure and how they were made."""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from PIL import Image

from cellscaper.errors import CellscaperError
from cellscaper.report.pages.run_facts import JobTime, Origin
from cellscaper.run import progress

_WIDEST = 2200  # px: wider pictures are shrunk


@dataclass(frozen=True)
class Picture:
    """A figure in the page: a data URI, its size in px, title, caption and alternative text."""

    uri: str
    width: int
    height: int
    title: str
    caption: str
    alt: str


@cache
def load_captions() -> dict[str, dict[str, str]]:
    """Kind of figure → title, caption, alt."""
    return yaml.safe_load(files("cellscaper.report.pages").joinpath("captions.yaml").read_text(encoding="utf-8"))


def picture(file: Path, kind: str, more: str = "") -> Picture:
    """A PNG file as a picture with the captions of its kind; ``more`` is added to title and alternative text.

    At most ``_WIDEST`` px wide. CellscaperError for a file that is no PNG.
    """
    plain = kind.replace("_", " ")
    words = load_captions().get(kind, {"title": plain, "caption": "", "alt": f"Figure: {plain}."})
    try:
        with Image.open(file, formats=["PNG"]) as image:
            image.load()
            shown = image.convert("RGB")
    except Exception as error:  # a decoder may raise anything on damaged bytes
        raise CellscaperError(f"{file} is not a readable PNG; delete it and run again") from error
    if shown.width > _WIDEST:
        shown = shown.resize((_WIDEST, round(shown.height * _WIDEST / shown.width)), Image.Resampling.LANCZOS)
    uri = _data_uri(shown)
    title = f"{words['title']}: {more}" if more else words["title"]
    return Picture(uri, shown.width, shown.height, title, words["caption"], " ".join([words["alt"], more]).strip())


def _data_uri(shown: Image.Image) -> str:
    """A picture as PNG, or as JPEG of full colour resolution where it shows so much tissue that this takes half."""
    exact, close = io.BytesIO(), io.BytesIO()
    shown.save(exact, "PNG", optimize=True)
    shown.save(close, "JPEG", quality=90, subsampling=0, optimize=True)
    kind, held = ("jpeg", close) if 2 * close.tell() < exact.tell() else ("png", exact)
    return f"data:image/{kind};base64,{base64.b64encode(held.getvalue()).decode()}"


def duration(seconds: float) -> str:
    """Seconds for people: as :func:`cellscaper.run.progress.duration`, finer below 10 s; – where unknown."""
    if math.isnan(seconds):
        return "–"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    return progress.duration(seconds)


@dataclass(frozen=True)
class RuleTime:
    """All jobs of a rule: number, CPU and wall seconds, the longest one's wall seconds, the highest peak in MB."""

    rule: str
    jobs: int
    cpu: float
    seconds: float
    longest: float
    memory: float


def by_rule(times: Sequence[JobTime]) -> list[RuleTime]:
    """The times of each rule, most CPU first. What was not measured counts as 0."""
    found: dict[str, list[JobTime]] = {}
    for one in times:
        found.setdefault(one.rule, []).append(one)

    def known(values: list[float]) -> list[float]:
        return [value for value in values if not math.isnan(value)] or [0.0]

    rows = [
        RuleTime(
            rule,
            len(jobs),
            sum(known([one.cpu for one in jobs])),
            sum(known([one.seconds for one in jobs])),
            max(known([one.seconds for one in jobs])),
            max(known([one.memory for one in jobs])),
        )
        for rule, jobs in found.items()
    ]
    return sorted(rows, key=lambda row: (-row.cpu, row.rule))


def origin_rows(found: Origin) -> list[tuple[str, str]]:
    """What made the results, for a table: each value, with the number of files where there are several."""
    counted = {"cellscaper": found.versions, "commit": found.commits, "Python": found.python, **found.libraries}
    rows = []
    for name, values in counted.items():
        several = len(values) > 1
        rows.append((name, ", ".join(f"{v} ({n} files)" if several else v for v, n in values.most_common())))
    return rows


def render(context: Mapping[str, Any]) -> str:
    """The page for a context (see ``stages/make_report.py`` for its parts)."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["duration"] = duration
    environment.filters["markup"] = Markup
    text = files("cellscaper.report.pages").joinpath("report.html").read_text(encoding="utf-8")
    return environment.from_string(text).render(**context)
