"""fetch_dataset: find or download a dataset and write the list of its files with checksums."""

from pathlib import Path

from cellscaper.datasets.protocol import Reader
from cellscaper.disk.files import checksum, write_text
from cellscaper.errors import CellscaperError
from cellscaper.plan.blocks import as_section
from cellscaper.plan.provenance import canonical
from cellscaper.run import stage
from cellscaper.run.methods import chosen
from cellscaper.run.progress import Progress


def main() -> None:
    args = stage.arguments(__doc__, inputs=[], outputs=["manifest"], options=["dataset?"])
    section = as_section(args.config)
    method = section["method"]
    name = args.dataset or method
    reader: Reader
    reader, settings = chosen("datasets", section)
    root = reader.fetch(settings, args.manifest.parent / "download")
    files = reader.files(settings, root)
    if not files and method != "phantom":
        manual = getattr(reader, "MANUAL", "name the folder that holds them")
        raise CellscaperError(f"datasets.{name}.path: {root} holds no file that {method} reads; {manual}")
    sums = {}
    with Progress(len(files), "checksums of files") as progress:
        for file in files:
            sums[_relative(file, root)] = checksum(file)
            progress.update()
    write_text(args.manifest, canonical({"root": str(root), "files": sums}) + "\n")


def _relative(file: Path, root: Path) -> str:
    return str(file.relative_to(root)) if file.is_relative_to(root) else str(file)


if __name__ == "__main__":
    stage.run(main)
