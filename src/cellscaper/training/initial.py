"""A network that begins with the weights of another one, class by class.

An :class:`Anatomy` says what each index of a parameter belongs to. Where both networks have the same, the number is
copied; everything else keeps its new value. Buffers are not copied, because they come from the settings and the data.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cellscaper.disk.weights import Facts
from cellscaper.errors import CellscaperError
from cellscaper.run.differences import differences, other_weights

Axes = Mapping[int, Sequence[Hashable]]  # axis → what each index along it belongs to


@dataclass(frozen=True)
class Anatomy:
    """What the parameters of a network mean.

    alike  settings by name (JSON) that both networks must have, or the numbers would mean something else
    axes   parameter → the axes whose indices belong to classes; along its other axes both networks are the same
    apart  prefix of parameters → settings (JSON): where these differ, the parameters start anew
    """

    alike: Facts
    axes: Mapping[str, Axes]
    apart: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class Started:
    """The parameters that keep new values, whole or in part, and how many of all numbers were copied."""

    anew: list[str]
    copied: int
    total: int


@torch.no_grad()
def start_from(model: nn.Module, mine: Anatomy, weights: Mapping[str, Tensor], theirs: Anatomy, file: Path) -> Started:
    """Copy into the parameters of ``model`` what ``weights`` (of ``file``) have for the same; see :class:`Started`.

    CellscaperError if the networks differ in more than their classes. The model is then as it was.
    """
    _check_alike(mine, theirs, file)
    own = dict(model.named_parameters())
    differs = tuple(prefix for prefix, value in mine.apart.items() if theirs.apart.get(prefix) != value)
    free = tuple(mine.apart)
    _check_names(set(own), set(weights) - {name for name, _ in model.named_buffers()}, free, file)
    shared = {name: one for name, one in own.items() if name in weights and not name.startswith(differs)}
    values = {
        name: _joined(name, one, weights[name], mine.axes.get(name, {}), theirs.axes.get(name, {}), file)
        for name, one in shared.items()
    }
    for name, (value, _) in values.items():
        shared[name].copy_(value)
    total = sum(one.numel() for one in own.values())
    copied = sum(number for _, number in values.values())
    anew = [name for name, one in own.items() if name not in values or values[name][1] < one.numel()]
    return Started(anew, copied, total)


def _joined(name: str, own: Tensor, other: Tensor, mine: Axes, theirs: Axes, file: Path) -> tuple[Tensor, int]:
    """The parameter with the numbers of the other one where both belong to the same, and how many these are."""
    shapes = tuple(own.shape), tuple(other.shape)
    fits = len(shapes[0]) == len(shapes[1]) and all(
        (len(mine[axis]), len(theirs[axis])) == (a, b) if axis in mine and axis in theirs else a == b
        for axis, (a, b) in enumerate(zip(*shapes, strict=True))
    )
    if not fits:
        raise CellscaperError(
            f"{file}: {name} is {_shape(other)}, this experiment's is {_shape(own)}: another network; take the "
            "settings of the weights, or other weights"
        )
    to, of = [], []
    for axis, length in enumerate(shapes[0]):
        if axis in mine:
            place = {label: i for i, label in enumerate(theirs[axis])}
            pairs = [(i, place[label]) for i, label in enumerate(mine[axis]) if label in place]
        else:
            pairs = [(i, i) for i in range(length)]
        to.append([i for i, _ in pairs])
        of.append([j for _, j in pairs])
    value = own.detach().cpu().numpy().copy()
    value[np.ix_(*to)] = other.to(own.dtype).cpu().numpy()[np.ix_(*of)]
    return torch.from_numpy(value), int(np.prod([len(one) for one in to]))


def _check_alike(mine: Anatomy, theirs: Anatomy, file: Path) -> None:
    for name, value in mine.alike.items():
        for key, one, two in differences(name, value, theirs.alike.get(name), lambda a, b: [*a, *b]):
            raise other_weights(f"{file} was", key, one, two)


def _check_names(own: set[str], given: set[str], free: tuple[str, ...], file: Path) -> None:
    """CellscaperError for a parameter that only one of the networks has, unless it may start anew."""
    for name in sorted(own ^ given):
        if not name.startswith(free):
            whom = "this experiment has" if name in own else "the weights have"
            raise CellscaperError(
                f"{file}: only {whom} a parameter {name}: another network; take the settings of the weights, or other "
                "weights"
            )


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape))
