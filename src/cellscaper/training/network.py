"""The network as a training calls it: memory format, autocast, compilation."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cellscaper.errors import CellscaperError
from cellscaper.run.settings import Precision
from cellscaper.run.transfer import as_on_cuda
from cellscaper.training.cuda_autocast import cuda_autocast


class Network(nn.Module):
    """Calls a model, in bf16 autocast if ``precision`` says so; losses outside it stay in float32.

    For a CUDA training maps (B, C, H, W) come channels last, as its weights.
    """

    def __init__(self, model: nn.Module, device: torch.device, precision: Precision):
        super().__init__()
        self.model, self._device, self._bf16 = model, device, precision == "bf16"
        self._format = torch.channels_last if as_on_cuda(device) else torch.preserve_format

    def forward(self, *args: Any, **named: Any) -> Any:
        args = tuple(self._in_format(one) for one in args)
        named = {name: self._in_format(one) for name, one in named.items()}
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16):
            return self.model(*args, **named)

    def _in_format(self, value: Any) -> Any:
        if isinstance(value, Tensor) and value.dim() == 4 and self._format is torch.channels_last:
            return value.contiguous(memory_format=torch.channels_last)
        return value


@contextmanager
def like_cuda(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Within the block a model is trained as on CUDA, if the device is one or the switch of `run.transfer` is on.

    Its weights are channels last (on CPUs bf16 steps would be up to 1.4 times slower), and cuDNN looks for the fastest
    algorithm of each shape, as a training repeats its shapes. On a CPU autocast casts as on CUDA.
    """
    if not as_on_cuda(device):
        yield
        return
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    with ExitStack() as stack:
        if device.type == "cpu":
            stack.enter_context(cuda_autocast())
        try:
            yield
        finally:
            torch.backends.cudnn.benchmark = before


class Compiled(nn.Module):
    """A network through torch.compile with static shapes; its parameters are those of the network.

    CellscaperError if it cannot be compiled, for example without a C compiler.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model
        self._fast = torch.compile(model.forward, dynamic=False)

    def forward(self, *args: Any, **named: Any) -> Any:
        from torch._dynamo.exc import TorchDynamoException

        try:
            return self._fast(*args, **named)
        except TorchDynamoException as error:
            reason = " ".join(str(error).split())[:200]  # its first line is the name of the backend
            raise CellscaperError(
                f"training.compile: the network cannot be compiled ({reason}); set compile: false, or install a C "
                "compiler"
            ) from error
