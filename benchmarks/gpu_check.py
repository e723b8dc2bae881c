"""Does everything run on this GPU? A line `ok` or `FAIL` for each stage and each claim.

Six minutes on one card are estimated, not measured.
Stages run as the workflow runs them, without Snakemake: every stage that can use a GPU once at toy size on simulated
tissue, with bf16 where the papers' configuration has it. Then, in this process: group norm in bf16 against fp32, a
compiled training against a plain one, a training of the papers' largest layout model (time of a step and peak memory,
beside the table of docs/gpu.md), a state that is saved on one device and goes on on the other, and two processes where
there are two cards.

    python benchmarks/gpu_check.py [--device cuda|cpu] [--only WORDS]

`--only sample_layouts` runs the checks whose name has these words in it, anywhere, and the data. Stages read what the
stages before them wrote: `--only adm_counts` trains that model and samples from it.

Without a virtual environment: torch ≥ 2.6 and the wheels of copulae, gudhi, h5py, joblib, numpy, pandas, pillow, POT,
pydantic, pyyaml, safetensors, scikit-image, scikit-learn, scipy, tensorboard, threadpoolctl and tqdm, with
PYTHONPATH=src. Snakemake is not needed. Exit status 1 if any line says FAIL; 2, with one line, if nothing could be
checked: no GPU is seen and `--device cpu` is not given, or no check has the words of `--only`.
"""

import argparse
import contextlib
import csv
import itertools
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch.nn import functional

from cellscaper.datasets import phantom
from cellscaper.diffusion.unet import UNet, norm
from cellscaper.generators import adm
from cellscaper.generators.protocol import read_recipe
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.plan import sections
from cellscaper.plan.configuration import configuration
from cellscaper.plan.experiments import Experiments
from cellscaper.plan.house import ROOT
from cellscaper.plan.merging import overlay
from cellscaper.plan.places import nearest_or_all
from cellscaper.plan.provenance import canonical
from cellscaper.run.devices import driver, no_gpu
from cellscaper.training.settings import Training
from cellscaper.training.trainer import train

LIMIT = {1: 170, 0: 1800}  # s for one stage on a GPU, and on a CPU that may be busy
MODELS = ("adm_counts", "topocellgen", "sd_gmm", "point_diffusion", "tmccg")  # one experiment of each trained generator
PAINTERS = {  # the conditions of the painter `diffusion`
    "cross_attention": {},
    "markers": {"condition": {"kind": "markers"}},
    "distance": {"condition": {"kind": "distance", "reach": 10}},
}
TOY = {
    "experiments": {"adm": {"training": {"precision": "bf16"}}, "point_diffusion": {"training": {"precision": "bf16"}}},
    "features": {name: {"training": {"precision": "bf16"}} for name in ("tc", "tc_released")},
    "painters": {"tc": {"training": {"precision": "bf16"}}},
    "detectors": {name: {"training": {"precision": "bf16"}} for name in ("unet", "mcspatnet")},
}
SET = {"sets": {"check": {"dataset": "phantom", "experiment": "point_diffusion", "layouts": 32, "parts": 1}}}
CARD_GB = 40  # the largest layout model must fit a card of this size (docs/gpu.md)
Check = tuple[str, Callable[[], str]]


class Stages:
    """The stages of a toy run in a folder of its own."""

    def __init__(self, folder: Path, gpus: int):
        toy = yaml.safe_load((ROOT / "workflow/presets/ci.yaml").read_text(encoding="utf-8"))
        toy = overlay(toy, SET)
        self.config = configuration(overlay(toy, TOY) if gpus else toy)  # bf16 is slow on CPUs
        self.experiments = Experiments(self.config)
        self.folder, self.gpus = folder, gpus
        self.cells, self.images = folder / "cells.h5", folder / "images.h5"

    def run(self, rule: str, section: Any, *flags: object, gpus: int | None = None) -> str:
        """Run a stage; its last line, or RuntimeError with it."""
        command = [sys.executable, "-m", f"cellscaper.stages.{rule}", "--config", canonical(section), "--threads", "4"]
        command += [str(flag) for flag in flags]
        if gpus is not None:
            command += ["--gpus", str(gpus)]
        limit = LIMIT[self.gpus]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{rule} did not end within {limit} s") from None
        lines = (ended.stdout + ended.stderr).strip().splitlines() or ["no output"]
        if ended.returncode:
            raise RuntimeError(f"exit status {ended.returncode}: {lines[-1]}")
        return lines[-1]

    def data(self) -> str:
        """Simulated tissue, its windows and density maps."""
        config, manifest = self.config, self.folder / "manifest.json"
        self.run("fetch_dataset", sections.dataset_section(config, "phantom"), "--manifest", manifest)
        self.run(
            "read_cells", sections.dataset_section(config, "phantom"),
            "--manifest", manifest, "--cells", self.cells, "--images", self.images,
        )  # fmt: skip
        cut = sections.windows_section(config, "w256")
        self.run("cut_patches", cut, "--cells", self.cells, "--windows", self.folder / "windows.h5")
        density = sections.density_section(config, "gmm", 4)
        return self.run("fit_density", density, "--cells", self.cells, "--maps", self.folder / "maps.h5")

    def trained(self, rule: str, name: str, section: Any, *flags: object, gpus: int | None = None) -> str:
        """Train; the file of the weights is `<rule>-<name>/model.safetensors`."""
        folder = self.folder / f"{rule}-{name}"
        out = ("--model", folder / "model.safetensors", "--losses", folder / "losses.csv")
        return self.run(rule, section, *flags, *out, gpus=self.gpus if gpus is None else gpus)

    def features(self, name: str) -> str:
        return self.trained("train_features", name, sections.features_section(self.config, name), "--cells", self.cells)

    def layout(self, name: str, gpus: int | None = None) -> str:
        recipe = self.experiments.recipe(name)
        maps = ["--density", self.folder / "maps.h5"] if "density" in recipe else []
        return self.trained("train_layout", name, recipe, "--cells", self.cells, *maps, gpus=gpus)

    def begun(self, name: str) -> str:
        """The beginning that a training shares, and the rest of the training."""
        begun = self.experiments.beginning(name)
        assert begun is not None, name
        self.trained("start_layout", begun.name, begun.recipe, "--cells", self.cells, "--until", begun.steps)
        beginning = self.folder / f"start_layout-{begun.name}/model.safetensors"
        recipe = self.experiments.recipe(name)
        return self.trained("train_layout", f"{name}-on", recipe, "--cells", self.cells, "--beginning", beginning)

    def sample(self, name: str) -> str:
        section = sections.sampling_section(self.experiments, "phantom", name, "train")
        model, made = self.folder / f"train_layout-{name}/model.safetensors", self.folder / f"{name}.h5"
        return self.run(
            "sample_layouts", section, "--cells", self.cells, "--targets", self.folder / "windows.h5",
            "--model", model, "--purpose", "train", "--layouts", made, gpus=self.gpus,
        )  # fmt: skip

    def painter(self, name: str) -> str:
        block = {**self.config["painters"]["tc"], **PAINTERS[name]}
        section = sections.painter_section({**self.config, "painters": {"tc": block}}, "tc")
        return self.trained("train_image", name, section, "--cells", self.cells, "--images", self.images)

    def paint(self, name: str) -> str:
        model = self.folder / f"train_image-{name}/model.safetensors"
        return self.run(
            "paint_images", sections.painting_section(self.config, "tc"), "--layouts", self.folder / "adm_counts.h5",
            "--decoder", "requested", "--model", model, "--painted", self.folder / f"{name}.h5", gpus=self.gpus,
        )  # fmt: skip

    def generated_set(self) -> str:
        """A part of a generated set and its images."""
        made = self.folder / "set.h5"
        self.run(
            "generate_set", sections.set_section(self.experiments, "check"), "--cells", self.cells,
            "--model", self.folder / "train_layout-point_diffusion/model.safetensors", "--part", 1, "--parts", 1,
            "--layouts", made, gpus=self.gpus,
        )  # fmt: skip
        return self.run(
            "paint_set", sections.set_painting_section(self.experiments, "check"), "--layouts", made,
            "--decoder", "points", "--model", self.folder / "train_image-cross_attention/model.safetensors",
            "--part", 1, "--parts", 1, "--painted", self.folder / "set-images.h5", gpus=self.gpus,
        )  # fmt: skip

    def score(self) -> str:
        """The scores of the test images, read by the detector of real images."""
        section = {**sections.image_scoring_section(self.experiments, "adm_counts"), "real": "test"}
        return self.run(
            "score_images", section, "--cells", self.cells, "--images", self.images,
            "--model", self.folder / "train_detector-unet/model.safetensors", "--dataset", "phantom",
            "--experiment", "real", "--decoder", "points", "--scores", self.folder / "scores.csv", gpus=self.gpus,
        )  # fmt: skip

    def detector(self, name: str) -> str:
        section = sections.detector_section(self.config, name, 0)
        data = ("--cells", self.cells, "--images", self.images, "--decoder", "points")
        return self.trained("train_detector", name, section, *data)

    def detect(self, name: str) -> str:
        model = self.folder / f"train_detector-{name}/model.safetensors"
        return self.run(
            "detect_cells", {}, "--cells", self.cells, "--images", self.images, "--model", model,
            "--detections", self.folder / f"found-{name}.h5", gpus=self.gpus,
        )  # fmt: skip

    def checks(self) -> list[Check]:
        """Each stage once, in an order in which its inputs are there."""
        found: list[Check] = [("data", self.data)]
        found += [(f"train_features {one}", lambda one=one: self.features(one)) for one in ("tc", "tc_released")]
        found += [(f"train_layout {one}", lambda one=one: self.layout(one)) for one in MODELS]
        found += [("start_layout and the rest", lambda: self.begun("topocellgen"))]
        found += [(f"sample_layouts {one}", lambda one=one: self.sample(one)) for one in MODELS]
        found += [(f"train_image {one}", lambda one=one: self.painter(one)) for one in PAINTERS]
        found += [("paint_images", lambda: self.paint("cross_attention"))]
        found += [("generate_set and paint_set", self.generated_set)]
        found += [(f"train_detector {one}", lambda one=one: self.detector(one)) for one in ("unet", "mcspatnet")]
        found += [(f"detect_cells {one}", lambda one=one: self.detect(one)) for one in ("unet", "mcspatnet")]
        found += [("score_images", self.score)]
        return found


def group_norm(device: str) -> str:
    """The U-Net's group norm of bf16 maps in autocast, against fp32 from the same maps: the largest difference."""
    torch.manual_seed(0)
    layer = norm(64).to(device)
    with torch.no_grad():
        layer.weight.uniform_(0.5, 2)
        layer.bias.uniform_(-1, 1)
    x = (3 * torch.randn(4, 64, 96, 96) + 10).to(device, torch.bfloat16).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        exact = functional.group_norm(x.float(), layer.num_groups, layer.weight, layer.bias, layer.eps)
        with torch.autocast(device, torch.bfloat16):
            made = layer(x)
    worst = float(((made.float() - exact).abs() / (exact.abs() + 1)).max())
    said = f"{made.dtype} differs by {worst:.1e} of 1 + |value| at most, bf16 rounds by {2**-9:.1e}"
    if worst > 4 * 2**-9 or made.dtype != torch.bfloat16:  # input, weight, bias and result are rounded
        raise RuntimeError(said)
    return said


def compiled(device: str) -> str:
    """A small U-Net in bf16, trained as it is and through torch.compile: the largest difference of a loss."""
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        return "not checked: torch.compile needs a C compiler"
    plain, fast = (losses_of(device, compile=one, precision="bf16") for one in (False, True))
    worst = max(abs(a - b) / a for a, b in zip(plain, fast, strict=True))
    said = f"losses differ by {worst:.1e} of the loss at most"
    if worst > 2e-2:
        raise RuntimeError(f"{said}; expected rounding in bf16")
    return said


def losses_of(device: str, **settings: Any) -> list[float]:
    """The losses of six steps of a U-Net of one level: a larger one takes minutes to compile."""
    net, loss = small_training(1)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "losses.csv"
        wanted = Training(steps=6, lr=1e-3, log_every=1, save_every=1e9, **settings)
        train(net, loss, wanted, Path(folder), "check", 0, device=device, log_path=log, what="a small U-Net")
        rows = list(csv.DictReader(log.read_text(encoding="utf-8").splitlines()))
    return [float(row["loss"]) for row in rows]


def largest_model(device: str) -> str:
    """Some steps of the papers' `adm_counts`, 554 M parameters: seconds a step and peak memory."""
    if device == "cpu":
        return "not measured on a CPU"
    recipe = Experiments(configuration()).recipe("adm_counts")
    recipe["training"] = {**recipe["training"], "steps": 12, "log_every": 1, "save_every": 1e9}
    random = np.random.default_rng(0)
    scenes = [(*phantom.simulate((500, 480), 3, random)[:2], (500, 480)) for _ in range(4)]
    cells = LayoutSet.build([Layout(*one) for one in scenes], ("a", "b", "c"), mpp=0.5)
    torch.manual_seed(0)
    prepared = adm.prepare(read_recipe(recipe), cells, None, torch.device(device))
    times = [time.monotonic()]

    def on_step(step: int, model: torch.nn.Module) -> None:
        torch.cuda.synchronize()
        times.append(time.monotonic())

    torch.cuda.reset_peak_memory_stats()
    with tempfile.TemporaryDirectory() as state:
        train(
            prepared.model, prepared.loss, prepared.recipe.training, Path(state), "check", 0,
            device=device, what="the largest layout model", on_step=on_step,
        )  # fmt: skip
    peak = torch.cuda.max_memory_allocated() / 1e9
    steps = [after - before for before, after in itertools.pairwise(times)][4:]
    said = f"{1000 * statistics.median(steps):.0f} ms a step of batch 5, {peak:.1f} GB at most"
    if peak > CARD_GB:
        raise RuntimeError(f"{said}; docs/gpu.md promises {CARD_GB} GB")
    return said


def across_devices(device: str) -> str:
    """Three steps on one device, three on the other, against six on the first: the largest difference of a weight."""
    worst = 0.0
    for first, second in ((device, "cpu"), ("cpu", device)):
        whole, halves = (six_steps([first, first]), six_steps([first, second]))
        worst = max(worst, *(float((a - b).abs().max()) for a, b in zip(whole, halves, strict=True)))
    if worst > 2e-3:
        raise RuntimeError(f"weights differ by {worst:.1e}, expected rounding (lr 1e-3)")
    return f"weights differ by {worst:.1e} at most"


def six_steps(devices: list[str]) -> list[torch.Tensor]:
    """The weights of a small U-Net after three steps on each device, the second from the state of the first."""
    net, loss = small_training()
    with tempfile.TemporaryDirectory() as state:
        settings = Training(steps=6, lr=1e-3, save_every=1e9)
        stop = StopAfter(3)
        with contextlib.suppress(SystemExit):
            train(net, loss, settings, Path(state), "check", 0, device=devices[0], on_step=stop, what="across devices")
        made = train(net, loss, settings, Path(state), "check", 0, device=devices[1], what="across devices")
    return [one.float().cpu() for one in made.values()]


def small_training(levels: int = 2) -> tuple[UNet, Callable[..., dict[str, torch.Tensor]]]:
    """A small U-Net that learns to repeat noise, and its loss."""
    torch.manual_seed(0)
    net = UNet(3, 3, 16, 32, 1, (1, 2)[:levels], (8,), head_channels=16)

    def loss(model: Any, random: torch.Generator, step: int) -> dict[str, torch.Tensor]:
        where = next(net.parameters()).device
        x = torch.randn(2, 3, 16, 16, generator=random).to(where)
        return {"loss": (model(x, torch.tensor([10, 20], device=where)).float() - x).square().mean()}

    return net, loss


class StopAfter:
    """Sends this process the signal that ends a training, after a step."""

    def __init__(self, step: int):
        self.step = step

    def __call__(self, step: int, model: torch.nn.Module) -> None:
        if step == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


def seen(device: str) -> str:
    """The card, its memory and the versions."""
    if device == "cpu":
        return f"torch {torch.__version__} on a CPU"
    card = torch.cuda.get_device_properties(0)
    versions = f"torch {torch.__version__}, CUDA {torch.version.cuda}"
    return f"{card.name}, {card.total_memory / 1e9:.0f} GB, {versions}; {driver()}"


def refuse(why: str) -> int:
    """Say in one line why nothing was checked; the exit status."""
    print(f"gpu_check: error: {why}", file=sys.stderr)
    return 2


def nearest_check(words: str, checks: list[Check]) -> str:
    """The check that may be meant: by its whole name, or by one of its words."""
    names = [name for name, _ in checks]
    return nearest_or_all(words, dict.fromkeys([*names, *(word for name in names for word in name.split())]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--only", default="", metavar="WORDS", help="checks with these words in their name, and data")
    args = parser.parse_args()
    if args.device == "cpu":
        os.environ["CELLSCAPER_DEVICE"] = "cpu"
    elif not torch.cuda.is_available():
        return refuse(f"{no_gpu('--device cuda (the default)')}; --device cpu checks all that a CPU can")
    os.environ["PYTHONPATH"] = str(ROOT / "src")
    failed, began = 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        stages = Stages(Path(folder), int(args.device == "cuda"))
        checks: list[Check] = [("device", lambda: seen(args.device)), *stages.checks()]
        checks += [
            ("group norm in bf16", lambda: group_norm(args.device)),
            ("a compiled training", lambda: compiled(args.device)),
            ("the largest layout model", lambda: largest_model(args.device)),
            ("a state goes on on another device", lambda: across_devices(args.device)),
        ]
        if args.device == "cpu" or torch.cuda.device_count() > 1:
            checks.append(("two processes", lambda: stages.layout("adm_category", gpus=2)))
        if not any(args.only in name for name, _ in checks):
            return refuse(f"--only {args.only}: no check has it in its name{nearest_check(args.only, checks)}")
        checks = [one for one in checks if args.only in one[0] or one[0] == "data"]
        for name, check in checks:
            start = time.monotonic()
            try:
                word, text = "ok", check()
            except Exception as error:
                word, text, failed = "FAIL", str(error) or type(error).__name__, failed + 1
            print(f"{word:4} {name}: {' '.join(text.split())} ({time.monotonic() - start:.0f} s)", flush=True)
    print(f"{failed} of {len(checks)} checks that ran failed, {time.monotonic() - began:.0f} s")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
