"""Retrieval, the row that a generator has to beat (papers: TCE 5.19 at best)."""

import numpy as np
import pytest

from cellscaper.generators import retrieval
from cellscaper.generators.protocol import Request
from cellscaper.layouts import LayoutSet
from cellscaper.metrics.counts import count_errors


@pytest.mark.parametrize("stride, total, by_class", [(32, 3.64, (1.16, 1.52, 2.23))])
def test_its_count_errors_on_the_1550_test_patches(
    cells: LayoutSet, patches: LayoutSet, stride: int, total: float, by_class: tuple[float, ...]
) -> None:
    settings = retrieval.Settings(min_distance=8.0, window_stride=stride, repair=False)
    request = Request(patches, range(len(patches)), settings, cells.where(split="train"), 256)
    made = retrieval.generate(request).sets["points"]
    found = count_errors(patches.counts(), made.counts(), patches.classes)
    assert found["tce"]["total"] == pytest.approx(total, abs=0.05)
    np.testing.assert_allclose([found["cce"][name] for name in patches.classes], by_class, atol=0.06)
