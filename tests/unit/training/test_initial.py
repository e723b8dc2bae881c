"""Weights of another network, class by class: what is copied to the bit, what starts anew, what is refused."""

from pathlib import Path

import pytest
import torch
from torch import nn

from cellscaper.errors import CellscaperError
from cellscaper.training.initial import Anatomy, start_from

FILE = Path("w.safetensors")


class Net(nn.Module):
    """Two numbers a class in, one out; a body; a buffer of the data."""

    def __init__(self, classes: int, width: int = 4, extra: bool = False):
        super().__init__()
        self.into = nn.Linear(2 * classes + 1, width)
        self.body = nn.Linear(width, width)
        self.out = nn.Linear(width, classes)
        self.pairs = nn.Parameter(torch.randn(3, classes, classes))
        self.register_buffer("data", torch.randn(classes))
        if extra:
            self.told = nn.Linear(1, 1)


def anatomy(classes, width=4, told="counts"):
    axes = {
        "into.weight": {1: [*((name, k) for name in classes for k in range(2)), None]},
        "out.weight": {0: classes},
        "out.bias": {0: classes},
        "pairs": {1: classes, 2: classes},
    }
    return Anatomy({"width": width, "grid": {"stride": 4, "soft": 0.5}}, axes, {"told.": told})


def start(mine, theirs, new=None, old=None, **more):
    torch.manual_seed(0)
    old = Net(len(theirs)) if old is None else old
    new = Net(len(mine)) if new is None else new
    fresh = {name: one.clone() for name, one in new.state_dict().items()}
    done = start_from(new, anatomy(mine), old.state_dict(), anatomy(theirs, **more), FILE)
    return old.state_dict(), fresh, new.state_dict(), done


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [("abc", "abc"), ("cab", "abc"), ("ac", "abc"), ("xby", "abc"), ("dcba", "ba"), ("xyz", "abc"), ("a", "abcdef")],
)
def test_every_number_is_that_of_the_same_classes_or_new(mine, theirs):
    old, fresh, new, done = start(list(mine), list(theirs))
    copied = 0
    for i, one in enumerate(mine):
        known = one in theirs
        j = theirs.index(one) if known else i
        source = old if known else fresh
        for k in range(2):
            assert torch.equal(new["into.weight"][:, 2 * i + k], source["into.weight"][:, 2 * j + k])
        assert torch.equal(new["out.weight"][i], source["out.weight"][j])
        assert torch.equal(new["out.bias"][i], source["out.bias"][j])
        copied += known * (8 + 4 + 1)
        for m, other in enumerate(mine):
            both = known and other in theirs
            source, at = (old, (j, theirs.index(other))) if both else (fresh, (i, m))
            assert torch.equal(new["pairs"][:, i, m], source["pairs"][(slice(None), *at)])
            copied += 3 * both
    for name in ("into.bias", "body.weight", "body.bias"):
        assert torch.equal(new[name], old[name])
    assert torch.equal(new["into.weight"][:, -1], old["into.weight"][:, -1])
    assert torch.equal(new["data"], fresh["data"])
    assert (done.copied, done.total) == (copied + 4 + 4 + 16 + 4, sum(fresh[key].numel() for key in fresh) - len(mine))
    whole = ["into.weight", "pairs", "out.weight", "out.bias"]
    assert sorted(done.anew) == sorted([] if set(mine) <= set(theirs) else whole)


def test_weights_in_16_bits_are_read_exactly():
    old = Net(3)
    half = {name: one.half() for name, one in old.state_dict().items()}
    new = Net(3)
    start_from(new, anatomy("abc"), half, anatomy("abc"), FILE)
    assert all(torch.equal(one, half[name].float()) for name, one in new.named_parameters())


def test_what_may_differ_starts_anew_and_is_copied_where_it_is_the_same():
    for told, same in (("counts", True), ("category", False)):
        old, new = Net(2, extra=True), Net(2, extra=True)
        _, fresh, after, done = start("ab", "ab", new, old, told=told)
        source = old.state_dict() if same else fresh
        assert torch.equal(after["told.weight"], source["told.weight"])
        assert done.anew == ([] if same else ["told.weight", "told.bias"])
    _, fresh, after, done = start("ab", "ab", Net(2, extra=True), Net(2))
    assert torch.equal(after["told.weight"], fresh["told.weight"]) and done.anew == ["told.weight", "told.bias"]
    start("ab", "ab", Net(2), Net(2, extra=True))


@pytest.mark.parametrize(
    ("new", "theirs", "told", "line"),
    [
        (Net(2), anatomy("ab", width=5), Net(2), "was trained with width = 5, this experiment has 4: another network"),
        (
            Net(2),
            Anatomy({"width": 4, "grid": {"stride": 2, "soft": 0.5}}, anatomy("ab").axes),
            Net(2),
            "was trained with grid.stride = 2, this experiment has 4",
        ),
        (Net(2), anatomy("ab"), Net(2, width=5), "w.safetensors: into.weight is 5×5, this experiment's is 4×5"),
        (Net(2), anatomy("ab"), nn.Linear(3, 2), "w.safetensors: only the weights have a parameter bias"),
        (Net(2), anatomy("abc"), Net(2), "pairs is 3×2×2, this experiment's is 3×2×2: another network"),
    ],
)
def test_another_network_is_one_line_and_leaves_the_model_alone(new, theirs, told, line):
    before = {name: one.clone() for name, one in new.state_dict().items()}
    with pytest.raises(CellscaperError) as caught:
        start_from(new, anatomy("ab"), told.state_dict(), theirs, FILE)
    assert line in str(caught.value) and "\n" not in str(caught.value)
    assert all(torch.equal(one, before[name]) for name, one in new.state_dict().items())
