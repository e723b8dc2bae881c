"""The device on which a stage computes."""

import os
import subprocess

import torch

from cellscaper.errors import CellscaperError
from cellscaper.run import launch

CPU_INSTEAD = "set gpu: 0 for the rule in config `resources`, or CELLSCAPER_DEVICE=cpu, to compute on the CPU"


def device(gpus: int) -> torch.device:
    """The device of a job that was given this many GPUs: the CPU for 0, else this process's GPU.

    The environment variable CELLSCAPER_DEVICE (cpu, cuda, cuda:1) is obeyed before this. Each process of torchrun has
    its own GPU. CellscaperError if there are fewer GPUs than asked for, with what is known of the driver.
    """
    name = os.environ.get("CELLSCAPER_DEVICE") or ("cuda" if gpus else "cpu")
    if not name.startswith("cuda"):
        return torch.device(name)
    if not torch.cuda.is_available():
        raise CellscaperError(no_gpu("the job asks for a GPU" if gpus else f"CELLSCAPER_DEVICE={name}"))
    if name == "cuda" and launch.count() > 1:
        if torch.cuda.device_count() < launch.count():
            raise CellscaperError(
                f"{launch.count()} GPUs are asked for and torch sees {torch.cuda.device_count()}; lower gpu in "
                "config `resources`, or run where there are more"
            )
        return torch.device("cuda", launch.rank())
    return torch.device(name)


def best_device() -> torch.device:
    """The device of a command that a person starts: a GPU if torch sees one; CELLSCAPER_DEVICE is obeyed first."""
    return device(int(torch.cuda.is_available()))


def no_gpu(wanted: str) -> str:
    """Why torch sees no GPU, and what to do, in one sentence."""
    built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "a build without CUDA"
    remedy = "install the build of torch that fits the driver (docs/gpu.md)"
    return f"{wanted}, but torch {torch.__version__} ({built}) sees none; {driver()}; {remedy}, or {CPU_INSTEAD}"


def driver() -> str:
    """What ``nvidia-smi`` says of the driver and the GPUs."""
    command = ["nvidia-smi", "--query-gpu=driver_version,name", "--format=csv,noheader"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except FileNotFoundError:
        return "this machine has no nvidia-smi, so probably no NVIDIA driver"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nvidia-smi did not answer ({error})"
    lines = said.stdout.split("\n") if said.returncode == 0 else []
    cards = [line.split(", ", 1) for line in lines if ", " in line]
    if not cards:
        return f"nvidia-smi finds no GPU ({' '.join((said.stderr or said.stdout).split()) or 'no message'})"
    return f"the driver is {cards[0][0]} with {len(cards)} GPU{'s' if len(cards) > 1 else ''} ({cards[0][1]})"
