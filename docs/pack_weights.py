"""Put trained weights into the package, and write the model cards of all that are there.

    python docs/pack_weights.py results/brca_m2c adm_counts --how "make brca TRAIN=1"
    python docs/pack_weights.py                 # the cards alone, after a card's text changed

The first form packs the training of an experiment of a results folder (docs/weights.md) as
src/cellscaper/weights/<name>.safetensors. The name is its generator unless --name gives another; that of weights from
which only the preset demo starts begins with demo/. The scores of its layouts go into docs/models/<name>.csv. They must
be of these weights, or of the packed ones: --scored names another experiment whose `weights` they are.
"""

import argparse
import csv
import io
import sys
import tempfile
from pathlib import Path

from cellscaper.disk.files import atomic, checksum, write_text
from cellscaper.disk.shipped import FOLDER, shipped_file, shipped_names
from cellscaper.disk.storage import read_provenance
from cellscaper.disk.weights import read_weights
from cellscaper.disk.weights_header import read_header
from cellscaper.errors import CellscaperError
from cellscaper.generators.packing import pack
from cellscaper.report.pages.model_card import SCORES, model_card

CARDS = Path(__file__).resolve().parent / "models"
SOURCES = {  # data set: what the weights know of it, and the licence of its labels
    "brca_m2c": (
        "cells of the 80 training images of BRCA-M2C (Abousamra et al. 2021): random crops. No image or label is in "
        "the file",
        "weights as the package (MIT); labels of BRCA-M2C: BSD 3-Clause, © 2022 TopoXLab",
    ),
}


def scores(results: Path, scored: str, seed: int, known: set[str]) -> str:
    """The scores of an experiment's layouts as CSV; CellscaperError if they are of other weights than ``known``."""
    layouts = results / "sample_layouts" / scored / "test" / f"seed{seed}" / "layouts.h5"
    made_by = read_provenance(layouts)["inputs"]["model"]["sha256"]
    if made_by not in known:
        raise CellscaperError(f"{layouts} is of other weights (SHA-256 {made_by}); name --scored or run again")
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(SCORES)
    files = sorted((results / "score_layouts" / scored).glob(f"*/seed{seed}/scores.csv"))
    if not files:
        raise CellscaperError(f"no scores of {scored}, seed {seed}, in {results}; run a table that shows them")
    for file in files:
        with open(file, newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                out.writerow([row["decoder"], *(row[key] for key in ("metric", "class", "value", "n")), made_by])
    return text.getvalue()


def write_card(name: str) -> None:
    """The card of shipped weights."""
    file = shipped_file(name)
    parameters = sum(one.numel() for one in read_weights(file)[0].values())
    write_text(CARDS / f"{name}.md", model_card(file, parameters, CARDS / f"{name}.csv"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="?", type=Path, help="folder of a data set's results")
    parser.add_argument("experiment", nargs="?", help="experiment whose training is packed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", help="name of the weights; default: the generator")
    parser.add_argument("--precision", choices=("fp16", "fp32"), default="fp16")
    parser.add_argument("--scored", help="experiment with the scores; default: the packed one")
    parser.add_argument("--how", default="", help="command of the training, and its time")
    parser.add_argument("--data", help="what it was trained on; known for BRCA-M2C")
    parser.add_argument("--licence", help="licence of the weights and of the data; known for BRCA-M2C")
    args = parser.parse_args()
    if args.results is not None:
        if args.experiment is None:
            parser.error("name the experiment behind the results folder")
        model = args.results / "train_layout" / args.experiment / f"seed{args.seed}" / "model.safetensors"
        known = SOURCES.get(args.results.name, (None, None))
        data, licence = args.data or known[0], args.licence or known[1]
        if not data or not licence:
            parser.error(f"{args.results.name} is not known here: give --data and --licence")
        name, scored = args.name or read_header(model)[0]["section"]["method"], args.scored or args.experiment
        layouts = args.results / "sample_layouts" / scored / "test" / f"seed{args.seed}" / "layouts.h5"
        sampling = read_provenance(layouts)["config"]["settings"]
        cells = args.results / "read_cells" / "cells.h5"
        own = {"experiment": args.experiment, "data": data, "licence": licence, "how": args.how}
        with tempfile.TemporaryDirectory() as folder:
            path = pack(model, cells, Path(folder), name, args.precision, sampling, **own)
            table = scores(args.results, scored, args.seed, {checksum(model), checksum(path)})
            for file in (path, path.with_suffix(".sha256")):
                with atomic(FOLDER / file.relative_to(folder)) as partial:
                    partial.write_bytes(file.read_bytes())
        write_text(CARDS / f"{name}.csv", table)
        print(f"{shipped_file(name)}: {shipped_file(name).stat().st_size / 1e6:.2f} MB")
    for name in (*shipped_names(), *shipped_names("demo")):
        write_card(name)


if __name__ == "__main__":
    try:
        main()
    except CellscaperError as error:
        sys.exit(f"pack_weights: error: {error}")
