"""A built table (see :func:`cellscaper.report.tables.build.build`) as Markdown and LaTeX, and its cells' texts."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from cellscaper.report.tables.notes import OTHER_DEFINITION, Note, reason_marks, superscript


def to_markdown(frame: pd.DataFrame, title: str, notes: Sequence[Note] = ()) -> str:
    """A built table as GitHub Markdown, columns padded so that the plain text reads as a table too."""
    cells = [[" ".join(cell.replace("|", "\\|").split()) for cell in line] for line in _lines(frame)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    below = [f"- {_marked(note)}" for note in notes]
    return "\n".join([f"### {title}", "", *lines, "", f"Cells: {_legend(frame)}.", "", *below]).rstrip() + "\n"


def to_latex(frame: pd.DataFrame, title: str, notes: Sequence[Note] = ()) -> str:
    """A built table as a LaTeX ``table``; needs the packages booktabs and graphicx."""
    cells = _lines(frame)
    lines = [" & ".join(_escape(cell) for cell in line) + r" \\" for line in cells]
    below = [f"Cells: {_legend(frame)}.", *(_marked(note).rstrip(".") + "." for note in notes)]
    return "\n".join(
        [
            "% needs \\usepackage{booktabs,graphicx}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_escape(title)}}}",
            r"\resizebox{\linewidth}{!}{%",
            rf"\begin{{tabular}}{{{'l' * len(cells[0])}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}}",
            r"\par\smallskip\footnotesize\raggedright",
            *(_escape(line) + r"\par" for line in below),
            r"\end{table}",
            "",
        ]
    )


def _marked(note: Note) -> str:
    return f"{note.mark} {note.text}".strip()


def _lines(frame: pd.DataFrame) -> list[list[str]]:
    """The cells of the table as texts: the header, then a line for each row."""
    beside_paper = bool(frame["paper"].notna().any())
    marks = reason_marks(frame)
    columns: list[str] = []
    body: list[list[str]] = []
    for _, row in frame.groupby("row", sort=False):
        columns = [f"{c.column_label} {'↓' if c.lower_is_better else '↑'}" for c in row.itertuples()]
        body.append([row["row_label"].iloc[0], *(_cell(c, marks, beside_paper) for c in row.itertuples())])
    return [["", *columns], *body]


def paper_text(cell: Any) -> str:
    """``0.653 ± 0.010``, the paper's number, with † where it has another definition; '' where there is none."""
    if math.isnan(cell.paper):
        return ""
    spread = "" if math.isnan(cell.paper_sd) else f" ± {cell.paper_sd:.3f}"
    return f"{cell.paper:.3f}{spread}{OTHER_DEFINITION if cell.note else ''}"


def _cell(cell: Any, marks: Mapping[str, str], beside_paper: bool) -> str:
    """``ours mean ± sd (n) · paper · difference``; parts that do not exist are '–' or left out."""
    places = decimals(cell.mean)
    run = cell.status == "ok"
    if run:
        spread = "" if math.isnan(cell.sd) else f" ± {cell.sd:.{places}f}"
        ours = f"{cell.mean:.{places}f}{spread} ({cell.n})".replace("-", "−")
    else:
        ours = "not run" + marks[cell.status.removeprefix("not run: ")]
    if not beside_paper:
        return f"{ours}{_gain(cell)}" if run else ours
    if math.isnan(cell.paper):
        return f"{ours} · –{_gain(cell)}" if run else ours
    difference = "–" if math.isnan(cell.difference) else f"{cell.difference:+.{places}f}".replace("-", "−")
    paper = f"{ours} · {paper_text(cell)}"
    return f"{paper} · {difference}{_gain(cell)}" if run else paper


def _gain(cell: Any) -> str:
    text = gain_text(cell)
    return f" · {text}" if text else ""


def gain_text(cell: Any) -> str:
    """``Δ +0.012 [−0.003, +0.027], p 0.12``: the difference to the row *real only*; '' where there is none."""
    if math.isnan(getattr(cell, "gain", math.nan)):
        return ""
    text = f"Δ {cell.gain:+.3f} [{cell.gain_low:+.3f}, {cell.gain_high:+.3f}], "
    p = f"p {cell.gain_p:.2g}" if cell.gain_p >= 0.001 else "p < 0.001"
    return (text + p).replace("-", "−")


def _legend(frame: pd.DataFrame) -> str:
    beside_paper = frame["paper"].notna().any()
    ours = "ours, mean ± sd (number of seeds; no sd for one)"
    return f"{ours} · paper · ours − paper" if beside_paper else f"{ours}; the paper has no numbers here"


def decimals(value: float) -> int:
    """Decimal places: 133.0, 5.31, 0.653; three digits below 0.01."""
    size = abs(value)
    if math.isnan(size) or size == 0:
        return 2
    if size >= 0.01:
        return 1 if size >= 100 else 2 if size >= 1 else 3
    return min(2 - math.floor(math.log10(size)), 8)


_LATEX = {
    **{c: "\\" + c for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "−": "$-$",
    "–": "--",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "→": r"$\rightarrow$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "†": r"\textdagger{}",
    "µ": r"$\mu$",
    "Δ": r"$\Delta$",
    "τ": r"$\tau$",
    "σ": r"$\sigma$",
    "“": "``",
    "”": "''",
    **{superscript(d): rf"\textsuperscript{{{d}}}" for d in range(10)},
}


def _escape(text: str) -> str:
    """LaTeX for plain text."""
    return "".join(_LATEX.get(character, character) for character in text)
