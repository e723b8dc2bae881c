"""How often a training step waits for the GPU, on an emulated one: tensors of the CPU that say they lie on it.

The emulation counts what waits on CUDA: values that the host reads, copies that are not ``non_blocking``, and
operations whose result has a size that only the device knows. It refuses operations on tensors of both devices, as
CUDA does.
"""

import math
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar

import pytest
import torch
from torch import is_tensor
from torch.nn.utils import clip_grad
from torch.overrides import TorchFunctionMode
from torch.utils._foreach_utils import _group_tensors_by_device_and_dtype
from torch.utils._pytree import tree_leaves, tree_map

from cellscaper.training import trainer

pytestmark = pytest.mark.slow  # a training of each kind on an emulated card

CARD = torch.device("cuda", 0)
STEPS = 5
UNKNOWN_SIZE = {"nonzero", "masked_select", "bincount", "repeat_interleave", "unique_dim", "_unique2", "equal"}
INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
WAITS = {  # a step
    "adm": 0,
    "spatial_diffusion": 0,
    "topocellgen": 1,  # the predicted maps, of which the host finds the holes
    "topocellgen cubical": 2,  # and which of them are clean enough
    "point_diffusion": 0,
    "point_diffusion topology": 144,  # a loss that is off, whose diagrams the host makes
    "tmccg": 121,  # its rule has gpu: 0
    "painter markers": 0,
    "painter distance": 0,
    "painter cross_attention": 0,
    "autoencoder": 0,
    "resnet50": 0,
    "unet": 0,
    "mcspatnet": 0,
    "mcspatnet bf16": 0,
}


class OnCard(torch.Tensor):
    """A tensor on the emulated card; ``plain`` is the tensor of the CPU with the same memory."""

    plain: torch.Tensor
    waits: ClassVar[Counter[str]] = Counter()

    __torch_function__ = torch._C._disabled_torch_function_impl

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CARD

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"OnCard({tuple(self.shape)})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = {k: v for k, v in (kwargs or {}).items() if k != "device"}
        name, leaves = func.overloadpacket.__name__, tree_leaves((args, kwargs))
        mine = {id(one.plain): one for one in leaves if isinstance(one, OnCard)}
        foreign = [x for x in leaves if isinstance(x, torch.Tensor) and not isinstance(x, OnCard) and x.dim() > 0]
        _count(name, func, args, kwargs, foreign)
        result = func(*tree_map(_plain, args), **tree_map(_plain, kwargs))
        if name == "copy_" and not isinstance(args[0], OnCard):
            return result
        return tree_map(lambda x: (mine[id(x)] if id(x) in mine else on_card(x)) if is_tensor(x) else x, result)


def _count(name: str, func: Any, args: Any, kwargs: Any, foreign: list[torch.Tensor]) -> None:
    if name == "_local_scalar_dense":
        OnCard.waits["value"] += 1
    elif name in UNKNOWN_SIZE and not (name == "repeat_interleave" and kwargs.get("output_size") is not None):
        OnCard.waits[name] += 1
    elif name in INDEXED:
        indices = [one for one in args[1] if isinstance(one, torch.Tensor)]
        if any(one.dtype in (torch.bool, torch.uint8) for one in indices):
            OnCard.waits["boolean index"] += 1
        elif any(not isinstance(one, OnCard) for one in indices):
            OnCard.waits["index of the host"] += 1
    elif name in ("copy_", "_to_copy"):
        if foreign and not (kwargs.get("non_blocking") or args[2:] == (True,)):
            OnCard.waits["copy"] += 1
    elif foreign and torch._C._current_autograd_node() is None:  # gradients make constants, on CUDA on the card
        raise RuntimeError(f"{func}: expected all tensors to be on the same device, got cuda:0 and cpu")


def on_card(tensor: torch.Tensor) -> OnCard:
    made = torch.Tensor._make_subclass(OnCard, tensor.detach())
    made.plain = tensor.detach()
    return made.requires_grad_(tensor.requires_grad)


def _plain(value: Any) -> Any:
    return value.plain if isinstance(value, OnCard) else value


class Card(TorchFunctionMode):
    """Within the block, ``cuda:0`` is the emulated card."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name, first = getattr(func, "__name__", ""), args[0] if args else None
        if func is torch.Tensor.to:
            return _to(func, first, args[1:], kwargs)
        if isinstance(first, OnCard):
            if func in (torch.Tensor.cpu, torch.Tensor.tolist):
                OnCard.waits["copy"] += 1
                return func(first.plain.clone())
            if func is torch.Tensor.numpy:
                raise TypeError("can't convert a cuda:0 tensor to numpy")
            if func is torch.Tensor.new_tensor:
                OnCard.waits["copy"] += 1
                return on_card(first.plain.new_tensor(*args[1:], **kwargs))
        if name == "one_hot":  # CUDA's does not look for the largest class
            return on_card(func(*tree_map(_plain, args), **kwargs)) if isinstance(first, OnCard) else func(*args)
        if _is_card(kwargs.get("device")):
            kwargs.pop("device")
            if name in ("tensor", "as_tensor"):
                OnCard.waits["copy"] += 1
            made = func(*args, **kwargs)
            return made if isinstance(made, OnCard) else on_card(made)
        return func(*args, **kwargs)


def _is_card(value: Any) -> bool:
    return isinstance(value, torch.device | str) and torch.device(value).type == "cuda"


def _to(func: Callable[..., Any], tensor: torch.Tensor, args: Any, kwargs: Any) -> Any:
    goal = kwargs.pop("device", None)
    for one in args[:1]:
        if isinstance(one, torch.Tensor):
            goal, args = one.device, (one.dtype, *args[1:])
        elif isinstance(one, torch.device | str):
            goal, args = one, args[1:]
        elif one is None:
            args = args[1:]
    there, here = _is_card(goal) if goal is not None else None, isinstance(tensor, OnCard)
    waits = not (kwargs.pop("non_blocking", False) or args[1:2] == (True,))
    dtype = {"dtype": args[0]} if args and args[0] is not None else {}
    if there is None or there == here:
        return func(tensor, **dtype, **kwargs) if dtype or kwargs else tensor
    OnCard.waits["copy"] += waits
    moved = func(_plain(tensor), **dtype, **kwargs).clone()
    return on_card(moved) if there else moved


def grouped(lists: Any, *args: Any) -> Any:
    """Torch's function, with the device that the tensors name: its own looks into them."""
    found = _group_tensors_by_device_and_dtype(lists, *args)
    return {(tensors[0][0].device, kind): (tensors, rows) for (_, kind), (tensors, rows) in found.items()}


@pytest.fixture
def card(monkeypatch):
    """The emulated card; parameters are replaced when they move to it."""
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    monkeypatch.setattr(OnCard, "waits", Counter())
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self)  # refused without a GPU
    monkeypatch.setattr(trainer, "READ", math.inf)  # a step on a busy machine may take as long
    monkeypatch.setattr(clip_grad, "_group_tensors_by_device_and_dtype", grouped)
    with Card():
        yield CARD
    torch.__future__.set_overwrite_module_params_on_conversion(False)


def waits_of(work: Any, where: torch.device, folder: Any) -> Counter[str]:
    """The waits of the step that waits least: others also read the losses or look at validation images."""
    made, seen = work(where), []

    def mark(step: int, model: Any) -> None:
        seen.append(OnCard.waits.copy())
        if made.on_step is not None:
            made.on_step(step, model)

    few = made.settings.model_copy(update={"steps": STEPS, "log_every": 1000})
    trainer.train(made.model, made.loss, few, folder, "f", 1, device=where, on_step=mark)
    steps = [after - before for before, after in pairwise(seen[:-1])]
    return min(steps, key=lambda one: one.total())


def test_a_step_waits_for_the_device_no_more_often_than_it_must(work, card, tmp_path):
    found = waits_of(work, card, tmp_path)
    assert found.total() == WAITS[work.name], found


def test_the_emulation_counts_what_waits_and_refuses_a_mix(card):
    x = torch.arange(6.0).to(card, non_blocking=True)
    assert x.device == card and OnCard.waits.total() == 0
    y = x * 2 + torch.zeros(6, device=card)
    y[0] = 3.0
    assert OnCard.waits.total() == 0
    for call in (
        lambda: float(y.sum()), lambda: y.tolist(), lambda: y.cpu(), lambda: y[y > 2], lambda: y.nonzero(),
        lambda: torch.ones(3).to(card), lambda: bool((y > 0).all()), lambda: y.new_tensor([1.0]),
        lambda: torch.bincount(y.long()), lambda: torch.repeat_interleave(y.long()), lambda: y[torch.tensor([1])],
    ):  # fmt: skip
        before = OnCard.waits.total()
        call()
        assert OnCard.waits.total() == before + 1
    with pytest.raises(RuntimeError, match="same device"):
        y + torch.ones(6)
    with pytest.raises(TypeError, match="numpy"):
        y.numpy()
