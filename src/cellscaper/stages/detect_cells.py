"""detect_cells: the cells a detector finds in the test images."""

from functools import partial

from cellscaper.detectors.peaks import detect, found_in
from cellscaper.detectors.protocol import Detector
from cellscaper.disk.storage import read_split, write_layouts
from cellscaper.disk.weights import read_weights_for
from cellscaper.plan.provenance import record
from cellscaper.run import stage
from cellscaper.run.devices import device
from cellscaper.run.methods import chosen


def main() -> None:
    args = stage.arguments(__doc__, inputs=["cells", "images", "model"], outputs=["detections"], gpus="one")
    cells, images = read_split(args.cells, args.images, "test")
    weights, facts = read_weights_for(args.model, cells.classes, args.cells)
    section = facts["section"]
    method: Detector
    method, settings = chosen("detectors", section)
    where = device(args.gpus)
    model = method.build(settings, cells.n_classes).to(where).eval()
    model.load_state_dict(weights)
    find = partial(detect, method.maps, method.cells, model, settings=settings, device=where)
    detections = found_in(cells, images, find)
    how = {key: facts[key] for key in ("val_f1", "best_step", "initialised") if key in facts}
    methods = [f"detectors.{section['method']}"]
    provenance = record("detect_cells", {**section, **how}, None, args.inputs, methods)
    write_layouts(args.detections, detections, provenance)


if __name__ == "__main__":
    stage.run(main)
