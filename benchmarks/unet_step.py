"""A training step of our U-Net against `diffusers`' UNet2DModel of the same shape.

Same channels, residual blocks, attention, heads, embedding and resampling, so nearly the same number of parameters
(both printed); the same batches and the same loss, mean squared error of the noise. Ours is a step of
`training/trainer.py` as it is: bf16 autocast, fused AdamW, averaged weights by one foreach call, channels last on a
GPU. Theirs is a step as its users write it: fp32, AdamW, clipped gradient, `EMAModel`. To tell what comes from what,
theirs under the same autocast and ours in fp32 are timed as well. All sides take turns, step by step; on a CPU times
are processor seconds, on a GPU wall time with the device synchronised.

    python benchmarks/unet_step.py [--quick]

Needs diffusers (extra oracles). On a GPU the network has 256 channels, on a CPU 64.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from diffusers import UNet2DModel
from diffusers.training_utils import EMAModel
from torch import nn
from torch.nn import functional

from cellscaper.diffusion.unet import UNet
from cellscaper.run.devices import best_device
from cellscaper.training.settings import Training
from cellscaper.training.trainer import train
from outcome import report

GOAL = 1.3  # times as fast as diffusers' plain step
EQUAL = 0.02  # largest relative difference of the numbers of parameters
SIDE, MULTIPLIERS, BLOCKS, ATTENTION = 64, (1, 2, 4), 2, (16,)  # pixels a side; the compact grid's network
LR, EMA, CLIP = 1e-4, 0.999, 1.0
Step = Callable[[], None]


def ours(channels: int) -> UNet:
    return UNet(3, 3, SIDE, channels, BLOCKS, MULTIPLIERS, ATTENTION, head_channels=min(64, channels))


def theirs(channels: int) -> UNet2DModel:
    """UNet2DModel as ADM shapes it: scale and shift, resampling in residual blocks, attention at the same sides."""
    attends = [SIDE // 2**level in ATTENTION for level in range(len(MULTIPLIERS))]
    deepest = attends[-1]
    if attends != [False] * (len(attends) - 1) + [deepest] or not deepest:
        raise ValueError("the blocks below are written for attention at the deepest level alone")
    plain = len(attends) - 1
    return UNet2DModel(
        sample_size=SIDE,
        in_channels=3,
        out_channels=3,
        block_out_channels=tuple(channels * m for m in MULTIPLIERS),
        layers_per_block=BLOCKS,
        down_block_types=("ResnetDownsampleBlock2D",) * plain + ("AttnDownBlock2D",),
        up_block_types=("AttnUpBlock2D",) + ("ResnetUpsampleBlock2D",) * plain,
        downsample_type="resnet",
        upsample_type="resnet",
        attention_head_dim=min(64, channels),
        attn_norm_num_groups=32,
        resnet_time_scale_shift="scale_shift",
    )


def seconds(work: Step, where: torch.device) -> float:
    if where.type != "cuda":
        start = time.process_time()
        work()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def batch(n: int, step: int, where: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Noised maps (n, 3, side, side), steps (n,), noise: what they hold does not matter to the clock."""
    random = torch.Generator().manual_seed(step)
    x, noise = torch.randn((2, n, 3, SIDE, SIDE), generator=random)
    return x.to(where), torch.randint(1000, (n,), generator=random).to(where), noise.to(where)


def plain_step(model: nn.Module, n: int, where: torch.device, autocast: bool) -> Step:
    """A training step of diffusers' model as its examples do it."""
    model.train().to(where)
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=LR, weight_decay=0.0)
    ema = EMAModel(parameters, decay=EMA)
    done = 0

    def step() -> None:
        nonlocal done
        x, t, noise = batch(n, done, where)
        with torch.autocast(where.type, torch.bfloat16, enabled=autocast):
            predicted = model(x, t).sample
        functional.mse_loss(predicted.float(), noise).backward()
        nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        optimizer.zero_grad()
        ema.step(parameters)
        done += 1

    return step


def compare(
    channels: int, n: int, steps: int, precision: str, others: dict[str, bool], where: torch.device
) -> dict[str, list[float]]:
    """Seconds of each of ``steps`` steps of our trainer and of each other side ({name: autocast}), taking turns."""
    sides = {name: plain_step(theirs(channels), n, where, autocast) for name, autocast in others.items()}
    for step in sides.values():
        step()  # warm
    name = f"ours, {precision}"
    times: dict[str, list[float]] = {one: [] for one in (name, *sides)}
    clock = time.perf_counter if where.type == "cuda" else time.process_time
    began = clock()

    def loss(model: nn.Module, random: torch.Generator, step: int) -> dict[str, torch.Tensor]:
        x, t, noise = batch(n, step, where)
        return {"loss": functional.mse_loss(model(x, t).float(), noise)}

    def others_turn(step: int, model: nn.Module) -> None:
        nonlocal began
        if where.type == "cuda":
            torch.cuda.synchronize()
        mine = clock() - began
        if step > 1:  # the first holds the start of the trainer
            times[name].append(mine)
            for one, work in sides.items():
                times[one].append(seconds(work, where))
        began = clock()

    settings = Training(steps=steps + 1, lr=LR, ema=EMA, grad_clip=CLIP, precision=precision, save_every=1e9)
    with tempfile.TemporaryDirectory() as folder:
        train(ours(channels), loss, settings, Path(folder), "", 0, device=where, what=name, on_step=others_turn)
    return times


def ratios(slow: Sequence[float], fast: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(slow, fast, strict=True)]


def show(title: str, values: Sequence[float]) -> None:
    print(f"{title:34} {statistics.median(values):.3f} s a step ({min(values):.3f} to {max(values):.3f})")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 steps a side instead of 9")
    quick = parser.parse_args().quick
    where = best_device()
    on_gpu = where.type == "cuda"
    if not on_gpu:
        torch.set_num_threads(1)
    torch.manual_seed(0)
    channels, n, steps = (256, 16, 50) if on_gpu else (64, 4, 9)
    steps = 3 if quick and not on_gpu else steps
    sizes = [sum(p.numel() for p in model.parameters()) for model in (ours(channels), theirs(channels))]
    print(f"parameters: ours {sizes[0]:,}, diffusers {sizes[1]:,}; {n} maps of {SIDE} × {SIDE} px, {channels} channels")
    fp32, mixed = "diffusers, fp32 as its users write", "diffusers, the same bf16 autocast"
    times = compare(channels, n, steps, "bf16", {fp32: False, mixed: True}, where)
    for title, values in times.items():
        show(title, values)
    single = compare(channels, n, steps, "fp32", {fp32: False}, where)
    show("ours, fp32", single["ours, fp32"])
    show(fp32 + " again", single[fp32])
    ours_bf16 = times["ours, bf16"]
    same = abs(sizes[0] / sizes[1] - 1) <= EQUAL
    report("unet_step_fp32", "our step in fp32", "diffusers, fp32", ratios(single[fp32], single["ours, fp32"]), None)
    report("unet_step_bf16", "our step", "diffusers, the same autocast", ratios(times[mixed], ours_bf16), None)
    note = f"{sizes[0] / 1e6:.2f} M and {sizes[1] / 1e6:.2f} M parameters; ours {statistics.median(ours_bf16):.3f} s"
    against = "diffusers' UNet2DModel, fp32"
    return report("unet_step", "our training step", against, ratios(times[fp32], ours_bf16), GOAL, also=same, note=note)


if __name__ == "__main__":
    sys.exit(main())
