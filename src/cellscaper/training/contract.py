"""The types of functions and facts in a training."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

BatchLoss = Callable[[nn.Module, torch.Generator, int], dict[str, Tensor]]  # see `training.trainer.train`
Facts = dict[str, float | str]  # facts about a training: JSON, kept in the weights
Finish = Callable[[dict[str, Tensor]], tuple[dict[str, Tensor], Facts]]  # trained state dict → weights to keep, facts
