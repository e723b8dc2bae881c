"""The figures of the report: a PNG file as a data URI, with the caption of its kind."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import yaml
from PIL import Image

from cellscaper.errors import CellscaperError
from cellscaper.report.pages.data_uri import data_uri

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

    At most ``_WIDEST`` px wide. CellscaperError for a file that is not a PNG.
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
    title = f"{words['title']}: {more}" if more else words["title"]
    alt = " ".join([words["alt"], more]).strip()
    return Picture(_smaller(shown), shown.width, shown.height, title, words["caption"], alt)


def _smaller(shown: Image.Image) -> str:
    """A picture as PNG; as JPEG of full colour resolution where it shows so much tissue that this halves the space."""
    exact = data_uri(shown, "PNG", optimize=True)
    close = data_uri(shown, "JPEG", quality=90, subsampling=0, optimize=True)
    return close if 2 * len(close) < len(exact) else exact
