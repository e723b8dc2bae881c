"""score_images: nuclei under the dots, stain and image FID of painted images, or of real images as their reference.

A U-Net that was trained on real images alone finds the cells and makes the features of the FID. config ``real``: null
scores the painted images against the training images, ``test`` the test images against the training images,
``halves`` one half of the training images against the other. With ``copies``, the audit of copied pixels is made, too.
"""

from functools import partial

from cellscaper.detectors.judge import read_judge
from cellscaper.disk.score_file import write_scores
from cellscaper.disk.storage import ImageSet, read_layouts, read_split
from cellscaper.metrics import detection, image_copies, image_quality
from cellscaper.metrics.image_quality import image_scores, image_windows, unet_reader
from cellscaper.run import stage
from cellscaper.run.devices import device
from cellscaper.run.methods import current
from cellscaper.run.settings import read


def main() -> None:
    files, options = ["cells", "images", "model", "layouts?", "painted?"], ["dataset", "experiment", "decoder"]
    args = stage.arguments(__doc__, inputs=files, outputs=["scores"], options=options, gpus="one")
    for module in (detection, image_quality):
        current(module)
    config, real = args.config, args.config["real"]
    cells, pixels = read_split(args.cells, args.images, "train")
    where = device(args.gpus)
    model, settings = read_judge(args.model, cells.classes, where)
    cut = partial(image_windows, region=config["region"], small=config["small"])
    _, reference = cut(cells, pixels, chosen=slice(0, None, 2) if real == "halves" else slice(None))
    if real == "halves":
        layouts, images = cut(cells, pixels, chosen=slice(1, None, 2))
    elif real == "test":
        layouts, images = cut(*read_split(args.cells, args.images, "test"))
    else:
        layouts = read_layouts(args.layouts, args.decoder)
        with ImageSet(args.painted) as painted:
            images = list(painted)
    encode, find = unet_reader(model, settings, config["tile"], where)
    trained_on = real == "halves"  # the detector's training images: recall would mean nothing
    how = {name: config[name] for name in ("glass", "shrinkage", "radius")}
    scores = image_scores(reference, layouts, images, encode, None if trained_on else find, **how)
    if config.get("copies"):
        current(image_copies)
        _, real_windows = cut(*read_split(args.cells, args.images, "test"))
        audit = read(image_copies.Settings, config["copies"], "metrics image_copies")
        train = pixels[::2] if real == "halves" else pixels
        scores |= image_copies.image_copies(train, real_windows, images, audit)
    about = {"dataset": args.dataset, "experiment": args.experiment, "decoder": args.decoder, "seed": args.seed}
    write_scores(args.scores, about, scores, len(images))


if __name__ == "__main__":
    stage.run(main)
