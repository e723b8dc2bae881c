"""Numbers that planning needs before any data are read: classes, windows and layouts of a data set.

None stands for a number that only the data tell.
"""

from typing import Any

from cellscaper.plan.merging import Config

CLASSES = {"brca_m2c": 3, "lizard": 6}
TEST_IMAGES = {  # (height, width) px: number; Lizard: 20 % of 238 images, at their mean size
    "brca_m2c": {(328, 328): 4, (465, 465): 10, (491, 491): 3, (505, 504): 1, (505, 505): 12},
    "lizard": {(917, 1016): 48},
}


def classes(config: Config, dataset: str) -> int:
    """Classes of cells: channels of its layout maps."""
    block = config["datasets"][dataset]
    if block["reader"] in CLASSES:
        return CLASSES[block["reader"]]
    return block["classes"] if isinstance(block["classes"], int) else len(block["classes"])


def windows(config: Config, dataset: str, field: str) -> int | None:
    """Test windows of a field of view, or the training crops whose counts its layouts have."""
    block, data = config["fields"][field], config["datasets"][dataset]
    if block["evaluation"]["kind"] == "categories":
        return block["evaluation"]["categories"] * block["evaluation"]["each"]
    region, stride = block["region"], block["windows"]["stride"]
    if data["reader"] == "phantom":
        images: Any = {tuple(data["size"]): data["images"][block["windows"]["split"]]}
    else:
        images = TEST_IMAGES.get(data["reader"]) if block["windows"]["split"] == "test" else None
    if images is None:
        return None
    return sum(
        n * _along(height, region, stride) * _along(width, region, stride) for (height, width), n in images.items()
    )


def _along(length: int, region: int, stride: int) -> int:
    return (length - region) // stride + 1 if length >= region else 0


def layouts(config: Config, dataset: str, field: str, purpose: str) -> int | None:
    """Layouts that a generator samples for a field of view, to be scored (``test``) or painted (``train``)."""
    block = config["fields"][field]
    if purpose == "train":
        return block["train_layouts"]
    scored = config["datasets"][dataset]["layouts"].get(field, block["evaluation"].get("layouts"))
    return windows(config, dataset, field) if scored is None else scored
