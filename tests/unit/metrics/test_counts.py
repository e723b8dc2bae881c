import numpy as np
import pytest

from cellscaper.errors import CellscaperError
from cellscaper.metrics.counts import count_errors


def test_known_counts():
    errors = count_errors([[3, 5], [0, 2]], [[4, 3], [0, 5]], ("a", "b"))
    assert errors == {"cce": {"a": 0.5, "b": 2.5}, "tce": {"total": 2.0}}


def test_errors_of_classes_cancel_in_the_total_but_layouts_do_not():
    errors = count_errors([[5, 5], [5, 5]], [[8, 2], [7, 5]], ("a", "b"))
    assert errors["tce"]["total"] == 1.0
    assert count_errors([[5], [5]], [[7], [3]], ("a",))["tce"]["total"] == 2.0


def test_unsigned_counts_do_not_wrap():
    counts = np.array([[1]], np.uint8), np.array([[4]], np.uint8)
    assert count_errors(*counts, ("a",))["cce"]["a"] == 3


def test_agrees_with_a_loop_on_random_counts():
    rng = np.random.default_rng(0)
    one, two = rng.integers(0, 50, (2, 30, 3))
    errors = count_errors(one, two, ("a", "b", "c"))
    for label, name in enumerate("abc"):
        assert errors["cce"][name] == pytest.approx(
            sum(abs(int(p[label]) - int(q[label])) for p, q in zip(one, two, strict=True)) / 30
        )
    assert errors["tce"]["total"] == pytest.approx(
        sum(abs(sum(p) - sum(q)) for p, q in zip(one, two, strict=True)) / 30
    )


@pytest.mark.parametrize("shapes", [((2, 2), (3, 2)), ((2, 3), (2, 3)), ((0, 2), (0, 2)), ((4,), (4,))])
def test_refuses_counts_that_do_not_pair(shapes):
    with pytest.raises(CellscaperError, match="expected the same layouts"):
        count_errors(np.zeros(shapes[0]), np.zeros(shapes[1]), ("a", "b"))
