"""make_tables: one table of one dataset from the score files, as CSV, Markdown and LaTeX."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cellscaper.disk.count_file import ImageCounts, read_counts
from cellscaper.disk.files import write_text
from cellscaper.disk.storage import read_layouts
from cellscaper.report.tables.build import build, collect, load_paper_values, protocol_notes
from cellscaper.report.tables.gains import REAL_ONLY, add_gains, gain_note
from cellscaper.report.tables.text import to_csv, to_latex, to_markdown
from cellscaper.run import stage

FRAME_NOTES = {
    "layouts": [
        "real vs real: one half of the test patches (or of the test images) against the other, the noise floor of "
        "distribution metrics; its count errors pair unrelated patches: what a generator of perfect layouts that "
        "ignores the requested counts would score. Fréchet distances grow as n falls: compare rows of equal n",
        "random: the requested counts at uniform positions, the ceiling of distribution metrics; it has no count error",
        "decoder components is protocol `paper`: connected components are counted on both sides; requested is ours",
    ],
    "detections": [],
    "images": [
        "painted images against training images; real test images against the same are the floor of stain and FID and "
        "the reference of recall; the halves are of the training images, without the shift between the splits. Real "
        "images are cut into windows of the painted size",
        "recall: dots under which a U-Net trained on real images alone finds a cell of their class, or of any, within "
        "the detection radius, one to one; precision: its cells that lie on a dot",
        "stain: optical density −log10((I + 1)/256) of the pixels that are not glass; distance of the means, and root "
        "of the Fréchet distance of the Gaussians; glass: difference of its parts of the pixels",
        "FID: features of that U-Net's deepest level, means over tiles; its value belongs to this network and falls "
        "with the number of tiles. Tiles of one image are not independent",
    ],
}


def detection_notes(table: dict[str, Any], counts: Mapping[tuple[str, str, str], ImageCounts]) -> list[str]:
    """How detections were matched, and what stands behind Δ."""
    radius, names = table["radius"], {column["metric"] for column in table["columns"]}
    notes = []
    if any(not name.endswith("_released") for name in names):
        notes.append(f"a detection counts within {radius:g} px of a dot, one to one, all test images together")
    if any(name.endswith("_released") for name in names):
        notes.append(
            f"protocol `released`: nearer than {radius:g} px, greedy in raster order, an image without detections of "
            "a class counts its misses once for each threshold"
        )
    images = {len(one.images) for one in counts.values()}
    return [*notes, gain_note(max(images), table["bootstrap"])] if images else notes


def setup_notes(table: dict[str, Any], dataset: str, scores: pd.DataFrame) -> list[str]:
    """What the detectors of a table were initialised with, and which part of their crops was synthetic."""
    found = scores[(scores["dataset"] == dataset) & (scores["metric"] == "setup")]
    notes = []
    for name, part in found.groupby("decoder", sort=True):
        imagenet = part[part["class"] == "imagenet"]["value"]
        if len(imagenet):
            both = "weights of ImageNet" if imagenet.all() else "He initialisation (no ImageNet weights)"
            mixed = imagenet.any() and not imagenet.all()
            notes.append(f"{name}: encoder with {'different initialisations: score again' if mixed else both}")
        fractions = part[part["class"] == "synthetic_fraction"]
        by = [
            (row["label"], fractions[fractions["experiment"] == row["experiment"]]["value"])
            for row in table["rows"].values()
            if row.get("experiment") not in (None, REAL_ONLY)
        ]
        said = [f"{label} {', '.join(f'{v:g}' for v in sorted(set(values)))}" for label, values in by if len(values)]
        if said:
            notes.append(f"{name}: part of the crops that is synthetic, best of those tried by validation F1: "
                         + "; ".join(said))  # fmt: skip
    return notes


def main() -> None:
    args = stage.arguments(
        __doc__,
        inputs=["cells"],
        outputs=["csv", "markdown", "latex"],
        options=["scores", "counts", "dataset", "table"],
    )
    scores = collect([Path(path) for path in args.scores.split()])
    classes = read_layouts(args.cells, select=slice(0, 0)).classes
    table = {**args.config, "rows": dict(args.config["rows"])}
    values = load_paper_values().get(table.get("values", args.table), {})
    frame = build(table, args.dataset, classes, scores, values)
    title = f"{table['title']}, {args.dataset}"
    notes = [*protocol_notes(table, frame), *FRAME_NOTES[table["kind"]]]
    if table["kind"] == "detections":
        counts = read_counts([Path(path) for path in args.counts.split()])
        frame = add_gains(frame, table, counts, table["radius"], table["bootstrap"])
        notes += [*detection_notes(table, counts), *setup_notes(table, args.dataset, scores)]
    write_text(args.csv, to_csv(frame))
    write_text(args.markdown, to_markdown(frame, title, notes))
    write_text(args.latex, to_latex(frame, title, notes))


if __name__ == "__main__":
    stage.run(main)
