"""make_report: one HTML file with every table, every figure, times, environment, seeds and what was not run.

It reads only files in the folder of the report. ``--tables`` (CSV), ``--figures`` and ``--galleries`` are the files
that the configuration (--config, whole but its resources) makes there. ``--framing``: JSON {table: {row: "floor" or
"ceiling"}}; ``--left-out``: {data set: why}. Beside the report: ``--crate``, the metadata of a Workflow Run RO-Crate,
and copies of Snakefile (``--workflow``) and configuration (``--configuration``) for it.
"""

import json
import os.path
from collections.abc import Iterable
from pathlib import Path

import yaml

from cellscaper.disk.files import write_text
from cellscaper.report.pages.crate import Run, crate
from cellscaper.report.pages.report import report_page
from cellscaper.run import stage
from cellscaper.run.progress import log


def main() -> None:
    files, made = ["snakefile", "tables*", "figures*", "galleries*"], ["report", "crate", "workflow", "configuration"]
    args = stage.arguments(__doc__, inputs=files, outputs=made, options=["framing", "left_out"])
    results = args.report.parent

    def relative(files: Iterable[Path]) -> list[str]:
        return [os.path.relpath(file, results) for file in files]

    framing, left_out, galleries = json.loads(args.framing), json.loads(args.left_out), relative(args.galleries)
    page = report_page(args.config, results, args.tables, framing, args.figures, galleries, args.snakefile, left_out)
    texts = {
        args.report: page.text,
        args.configuration: yaml.safe_dump(dict(args.config), sort_keys=False, allow_unicode=True),
        args.workflow: args.snakefile.read_text(encoding="utf-8"),
    }
    workflow, configuration, report = relative([args.workflow, args.configuration, args.report])
    run = Run(
        results,
        {name: args.config["datasets"][name]["reader"] for name in args.config["run"]["datasets"]},
        dict(zip(relative(texts), texts.values(), strict=True)),
        workflow,
        configuration,
        report,
        relative(args.tables),
        relative([*(file.with_suffix(".notes.json") for file in args.tables), *args.figures]) + galleries,
        page.commits,
        page.version,
        page.origins,
    )
    texts[args.crate] = crate(run)
    for file, text in texts.items():  # when everything is known
        write_text(file, text)
    size = len(page.text) / 2**20
    log(f"{args.report}: {len(args.tables)} tables, {len(page.missing)} lines of what was not run, {size:.1f} MB")


if __name__ == "__main__":
    stage.run(main)
