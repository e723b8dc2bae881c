"""detect_cells: the cells a detector finds in the test images."""

from cellscaper import stage
from cellscaper.detectors.peaks import detect
from cellscaper.detectors.registry import detector
from cellscaper.devices import device
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.progress import Progress
from cellscaper.provenance import record
from cellscaper.storage import read_split, write_layouts
from cellscaper.weights import read_weights


def main() -> None:
    args = stage.arguments(__doc__, inputs=["cells", "images", "model"], outputs=["detections"])
    cells, images = read_split(args.cells, args.images, "test")
    weights, facts = read_weights(args.model)
    settings = facts["section"]
    if tuple(facts["classes"]) != cells.classes:
        raise CellscaperError(f"{args.model} detects {facts['classes']}, {args.cells} has {list(cells.classes)}")
    method = detector(settings["method"])
    model = method.build(settings, cells.n_classes).to(device()).eval()
    model.load_state_dict(weights)
    found = []
    with Progress(len(cells), "images") as progress:
        for layout, image in zip(cells, images, strict=True):
            points, labels = detect(method.maps, method.cells, model, image, settings, device())
            found.append(Layout(points, labels, layout.size, layout.source))
            progress.update()
    detections = LayoutSet.build(found, cells.classes, cells.mpp, cells.columns)
    how = {key: facts[key] for key in ("val_f1", "best_step", "initialised") if key in facts}
    methods = [f"detectors.{settings['method']}"]
    provenance = record("detect_cells", {**settings, **how}, None, args.inputs, methods)
    write_layouts(args.detections, detections, provenance)


if __name__ == "__main__":
    stage.run(main)
