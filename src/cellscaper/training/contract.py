"""The types of functions and facts in a training."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

BatchLoss = Callable[[nn.Module, torch.Generator, int], dict[str, Tensor]]  # see `training.trainer.train`
Facts = dict[str, float | str]  # facts about a training: JSON, kept in the weights
Finish = Callable[[dict[str, Tensor]], tuple[dict[str, Tensor], Facts]]  # trained state dict → weights to keep, facts


@dataclass(frozen=True)
class Drawn:
    """A batch loss in two parts, so that the trainer can draw a batch while the device computes the one before.

    draw(generator, step)     all random numbers of a step, and what the host computes from them: tensors of the host in
                              tuples. It runs in a thread.
    loss(model, drawn, step)  the losses, from the result of ``draw``
    """

    draw: Callable[[torch.Generator, int], Any]
    loss: Callable[[nn.Module, Any, int], dict[str, Tensor]]

    def __call__(self, model: nn.Module, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        return self.loss(model, self.draw(generator, step), step)
