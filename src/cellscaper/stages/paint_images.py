"""paint_images: an H&E image for each generated layout."""

from cellscaper.disk.storage import read_layouts, write_images
from cellscaper.disk.weights import read_weights
from cellscaper.errors import CellscaperError
from cellscaper.painters.diffusion import Painter, paint
from cellscaper.plan.provenance import record
from cellscaper.run import stage
from cellscaper.run.devices import device
from cellscaper.run.progress import Progress
from cellscaper.run.seeds import sample_seeds


def main() -> None:
    args = stage.arguments(__doc__, inputs=["layouts", "model"], outputs=["images"], options=["decoder"])
    where = device()
    layouts = read_layouts(args.layouts, args.decoder)
    weights, facts = read_weights(args.model)
    section, classes = facts["section"], layouts.n_classes
    if tuple(facts["classes"]) != layouts.classes:
        raise CellscaperError(f"{args.model} paints {facts['classes']}, {args.layouts} has {list(layouts.classes)}")
    region = section["grid"]["region"]
    if layouts.common_size() != (region, region):
        raise CellscaperError(f"{args.model} paints {region} px, {args.layouts} has {layouts.common_size()} px")
    model = Painter(section, classes).to(where).eval()
    model.load_state_dict(weights)
    seeds, step = sample_seeds(args.seed, len(layouts), use=3), args.config["batch"]
    provenance = record("paint_images", args.config, args.seed, args.inputs)
    bar = Progress(len(layouts), f"{args.images.parent}: images")
    with write_images(args.images, provenance) as images, bar as progress:
        for start in range(0, len(layouts), step):
            batch = list(layouts[start : start + step])
            for image in paint(section, model, batch, classes, seeds[start : start + step], args.config, where):
                images.append(image)
            progress.update(len(batch))


if __name__ == "__main__":
    stage.run(main)
