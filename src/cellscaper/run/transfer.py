"""Copies from the host to the device of a computation, and the switch that makes a CPU behave as such a device."""

import os

import torch
from torch import Tensor

SWITCH = "CELLSCAPER_AS_ON_CUDA"


def as_on_cuda(device: torch.device) -> bool:
    """Whether a training takes CUDA's code paths: on CUDA, and on a CPU if CELLSCAPER_AS_ON_CUDA is 1.

    The switch is for tests: channels-last weights and inputs, CUDA's autocast, pinned copies as far as a CPU has them.
    """
    return device.type == "cuda" or os.environ.get(SWITCH) == "1"


def pinned(tensor: Tensor) -> Tensor:
    """A tensor of the host in pinned memory, from which the device copies by itself. Needs CUDA."""
    return tensor if tensor.is_pinned() else tensor.pin_memory()


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on ``device``; the host does not wait for the copy.

    On a CPU it is the tensor itself, or its copy under the switch, so that nobody relies on shared memory.
    """
    if device.type == "cpu":
        return tensor.clone() if as_on_cuda(device) else tensor
    return (pinned(tensor) if device.type == "cuda" else tensor).to(device, non_blocking=True)
