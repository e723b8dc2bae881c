"""make_tables: one table of one dataset from the score files, as CSV, Markdown and LaTeX, and its notes as JSON."""

from cellscaper.disk.count_file import read_counts
from cellscaper.disk.files import write_text
from cellscaper.disk.storage import read_layouts
from cellscaper.report.tables.build import build, collect, load_paper_values
from cellscaper.report.tables.gains import add_gains
from cellscaper.report.tables.notes import (
    caveat_notes,
    cell_notes,
    detection_notes,
    kind_notes,
    notes_json,
    origin_notes,
    protocol_notes,
    subset_notes,
    training_notes,
)
from cellscaper.report.tables.table_file import to_csv
from cellscaper.report.tables.text import to_latex, to_markdown
from cellscaper.run import stage


def main() -> None:
    args = stage.arguments(
        __doc__,
        inputs=["cells", "scores*", "counts*"],
        outputs=["csv", "notes", "markdown", "latex"],
        options=["dataset", "table"],
    )
    scores = collect(args.scores)
    classes = read_layouts(args.cells, select=slice(0, 0)).classes
    table = {**args.config, "rows": dict(args.config["rows"])}
    values = load_paper_values().get(table.get("values") or args.table, {})
    frame = build(table, args.dataset, classes, scores, values)
    notes = [*cell_notes(frame), *protocol_notes(table, frame), *kind_notes(table), *caveat_notes(table)]
    notes += origin_notes(table)
    notes += subset_notes(table, args.dataset, scores)
    if table["kind"] == "detections":
        counts = read_counts(args.counts)
        frame = add_gains(frame, table, counts, table["radius"], table["bootstrap"])
        notes += [*detection_notes(table, counts), *training_notes(table, args.dataset, scores)]
    title = f"{table['title']}, {args.dataset}"
    write_text(args.csv, to_csv(frame))
    write_text(args.notes, notes_json(notes))
    write_text(args.markdown, to_markdown(frame, title, notes))
    write_text(args.latex, to_latex(frame, title, notes))


if __name__ == "__main__":
    stage.run(main)
