"""draw_intervals: the numbers of a table as dots with intervals between its floor and its ceiling.

``--config`` holds the ids of the rows that are ``floor`` and ``ceiling``, and ``curves`` {row: [line, x]} if the rows
are points of lines over a number.
"""

from cellscaper.report.figures.intervals import interval_plot
from cellscaper.report.figures.sheet import write_picture
from cellscaper.report.tables.table_file import read_table
from cellscaper.run import stage


def main() -> None:
    args = stage.arguments(__doc__, inputs=["table"], outputs=["picture"])
    curves = {row: (str(line), float(x)) for row, (line, x) in args.config["curves"].items()}
    figure = interval_plot(read_table(args.table), args.config["floor"], args.config["ceiling"], curves)
    write_picture(figure, args.picture)


if __name__ == "__main__":
    stage.run(main)
