"""One training in several processes of one machine (torchrun); the code of the losses does not know it.

Every process samples the same global batch from (seed, step). In each process the network sees only its own rows of the
batch. The outputs of all processes are gathered, so that every process computes any loss (Dice, matchings, persistence)
of the whole batch. DistributedDataParallel adds the processes' gradients. Except for rounding, losses and weights equal
those of one process with the same global batch. The loss itself is not shared: each process computes all of it.
"""

import atexit
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from cellscaper.errors import CellscaperError
from cellscaper.run import launch


class Processes:
    """The processes of a training: ``rank`` of ``size``; 0 of 1 for a training in one process."""

    def __init__(self, device: torch.device):
        self.rank, self.size = launch.rank(), launch.count()
        if self.size > 1 and not distributed.is_initialized():
            on_gpu = device.type == "cuda"
            if on_gpu:
                torch.cuda.set_device(device)
            distributed.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo")
            atexit.register(distributed.destroy_process_group)

    def share(self, model: nn.Module) -> nn.Module:
        """The model as a function of the global batch: see :class:`Shared`. With one process it is the model itself.

        Raises CellscaperError for batch normalisation, whose statistics would be those of a process's rows.
        """
        if self.size == 1:
            return model
        if any(isinstance(module, _BatchNorm) for module in model.modules()):
            raise CellscaperError(
                "a network with batch normalisation is trained by one process; set gpu: 1 for it in config `resources`"
            )
        return Shared(model, self.rank, self.size)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        if self.size == 1:
            return flag
        flags = torch.tensor([int(flag)])
        _sum(flags)
        return bool(flags.item())

    def wait(self) -> None:
        """Wait until all processes are here."""
        self.any(False)


class Shared(nn.Module):
    """Calls a model on this process's rows of a batch; returns the outputs for all rows, gathered from all processes.

    All tensors in the model's arguments have the batch as their first axis, B rows; CellscaperError if they differ or B
    is less than the number of processes. It may return tensors (B, …) and tuples, lists and maps of them.
    """

    def __init__(self, model: nn.Module, rank: int, size: int):
        super().__init__()
        self.rank, self.size = rank, size
        self.model = DistributedDataParallel(model, gradient_as_bucket_view=True)

    def forward(self, *args: Any, **named: Any) -> Any:
        rows = {one.shape[:1] for one in (*args, *named.values()) if isinstance(one, Tensor)}
        if len(rows) != 1 or rows == {()}:
            sizes = sorted(tuple(one) for one in rows)
            raise CellscaperError(
                f"several processes need tensors whose first axis is the batch, got {sizes}; set gpu: 1"
            )
        total = rows.pop()[0]
        if total < self.size:
            raise CellscaperError(f"a batch of {total} cannot be shared by {self.size} processes; set gpu: {total}")
        start, stop = (total * k // self.size for k in (self.rank, self.rank + 1))

        def own(value: Any) -> Any:
            return value[start:stop] if isinstance(value, Tensor) else value

        output = self.model(*map(own, args), **{name: own(value) for name, value in named.items()})
        return _map(lambda one: _Gather.apply(one, start, stop, total, self.size), output)


class _Gather(torch.autograd.Function):
    """(total, …) of all processes' rows; the gradient goes back only to the rows of this process.

    The gradient is multiplied by the number of processes because DistributedDataParallel divides the sum by it.
    """

    @staticmethod
    def forward(ctx: Any, own: Tensor, start: int, stop: int, total: int, size: int) -> Tensor:
        ctx.rows, ctx.size = slice(start, stop), size
        whole = own.new_zeros((total, *own.shape[1:]))
        whole[start:stop] = own
        _sum(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return gradient[ctx.rows] * ctx.size, None, None, None, None


def _sum(tensor: Tensor) -> None:
    """Add up a tensor over the processes, in place."""
    try:
        distributed.all_reduce(tensor)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise CellscaperError(
            f"another process of this training has ended ({reason}); its own message says why"
        ) from error


def _map(function: Callable[[Tensor], Tensor], value: Any) -> Any:
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, dict):
        return {name: _map(function, one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        made = [_map(function, one) for one in value]
        return type(value)(*made) if hasattr(value, "_fields") else type(value)(made)
    raise CellscaperError(
        f"a model trained by several processes returns tensors, not {type(value).__name__}; set gpu: 1"
    )
