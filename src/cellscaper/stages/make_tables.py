"""make_tables: one table of one dataset from the score files, as CSV, Markdown and LaTeX."""

from pathlib import Path

from cellscaper import stage
from cellscaper.report.tables import build, collect, load_paper_values, protocol_notes, to_csv, to_latex, to_markdown
from cellscaper.storage import read_layouts, write_text

FRAME_NOTES = {
    "layouts": [
        "real vs real: one half of the test patches (or of the test images) against the other, the noise floor of "
        "distribution metrics; its count errors pair unrelated patches: what a generator of perfect layouts that "
        "ignores the requested counts would score. Fréchet distances grow as n falls: compare rows of equal n",
        "random: the requested counts at uniform positions, the ceiling of distribution metrics; it has no count error",
        "decoder components is protocol `paper`: connected components are counted on both sides; requested is ours",
    ],
    "detections": ["a detection counts within the configured radius of a dot, one to one, all test images together"],
}


def main() -> None:
    args = stage.arguments(
        __doc__, inputs=["cells"], outputs=["csv", "markdown", "latex"], options=["scores", "dataset", "table"]
    )
    scores = collect([Path(path) for path in args.scores.split()])
    classes = read_layouts(args.cells, select=slice(0, 0)).classes
    table = {**args.config, "rows": dict(args.config["rows"])}
    values = load_paper_values().get(table.get("values", args.table), {})
    frame = build(table, args.dataset, classes, scores, values)
    title = f"{table['title']}, {args.dataset}"
    notes = [*protocol_notes(table, frame), *FRAME_NOTES[table["kind"]]]
    write_text(args.csv, to_csv(frame))
    write_text(args.markdown, to_markdown(frame, title, notes))
    write_text(args.latex, to_latex(frame, title, notes))


if __name__ == "__main__":
    stage.run(main)
