"""The sizes of BRCA-M2C's test images that planning knows."""

from collections import Counter

from cellscaper.plan.amounts import TEST_IMAGES


def test_the_sizes_of_the_test_images(cells):
    sizes = cells.where(split="test").size.tolist()
    assert TEST_IMAGES["brca_m2c"] == Counter(map(tuple, sizes))
