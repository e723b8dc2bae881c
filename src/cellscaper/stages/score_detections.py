"""score_detections: precision, recall and F1 of detected cells over all test images, as CSV."""

from cellscaper import stage
from cellscaper.metrics.detection import detection_scores
from cellscaper.metrics.score_file import write_scores
from cellscaper.storage import read_layouts


def main() -> None:
    args = stage.arguments(
        __doc__, inputs=["cells", "detections"], outputs=["scores"], options=["dataset", "experiment", "detector"]
    )
    cells = read_layouts(args.cells).where(split="test")
    scores = detection_scores(cells, read_layouts(args.detections), args.config["radius"])
    about = {"dataset": args.dataset, "experiment": args.experiment, "decoder": args.detector, "seed": args.seed}
    write_scores(args.scores, about, scores, len(cells))


if __name__ == "__main__":
    stage.run(main)
