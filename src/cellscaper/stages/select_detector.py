"""select_detector: of detectors trained with several parts of synthetic crops, the best on the validation images."""

import shutil
from pathlib import Path

from cellscaper.disk.files import atomic
from cellscaper.disk.weights import read_weights
from cellscaper.run import stage
from cellscaper.run.progress import log


def main() -> None:
    args = stage.arguments(__doc__, inputs=["models+"], outputs=["model"])
    files: list[Path] = args.models
    facts = [read_weights(file)[1] for file in files]
    for file, one in zip(files, facts, strict=True):
        score, part = one["val_f1"], one["section"]["synthetic_fraction"]
        log(f"{file}: {100 * part:g} % synthetic crops, F1 on validation images {score:.4f}")
    best = max(range(len(files)), key=lambda i: facts[i]["val_f1"])  # of equals the first
    with atomic(args.model) as partial:
        shutil.copyfile(files[best], partial)


if __name__ == "__main__":
    stage.run(main)
