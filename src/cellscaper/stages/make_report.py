"""make_report: one HTML file with every table, every figure, times, environment, seeds and what was not run.

It reads only files in the folder of the report. ``--tables`` (CSV), ``--figures`` and ``--galleries`` are the files
that the configuration (--config, whole but its resources) makes there. ``--framing`` is JSON {table: {row: "floor" or
"ceiling"}}; ``--left-out`` is {data set: why}.
"""

import json
import os.path

from cellscaper.disk.files import write_text
from cellscaper.report.pages.report import report_page
from cellscaper.run import stage
from cellscaper.run.progress import log


def main() -> None:
    files = ["snakefile", "tables*", "figures*", "galleries*"]
    args = stage.arguments(__doc__, inputs=files, outputs=["report"], options=["framing", "left_out"])
    results = args.report.parent
    links = [os.path.relpath(file, results) for file in args.galleries]
    framing, left_out = json.loads(args.framing), json.loads(args.left_out)
    page = report_page(args.config, results, args.tables, framing, args.figures, links, args.snakefile, left_out)
    write_text(args.report, page.text)
    size = len(page.text) / 2**20
    log(f"{args.report}: {len(args.tables)} tables, {len(page.missing)} lines of what was not run, {size:.1f} MB")


if __name__ == "__main__":
    stage.run(main)
