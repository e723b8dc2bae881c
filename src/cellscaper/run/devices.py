"""The device on which a stage computes."""

import contextlib
import os
import re
import signal
import subprocess

import torch

from cellscaper.errors import CellscaperError
from cellscaper.run import launch

CPU_INSTEAD = "set gpu: 0 for the rule in config `resources`, or CELLSCAPER_DEVICE=cpu, to compute on the CPU"
PATIENCE = 20.0  # seconds that nvidia-smi has to answer


def device(gpus: int) -> torch.device:
    """The device of a job that was given this many GPUs: the CPU for 0, else this process's GPU.

    The environment variable CELLSCAPER_DEVICE (cpu, cuda, cuda:1) is obeyed before this. Each process of torchrun has
    its own GPU. CellscaperError for another value of it, and if there are fewer GPUs than asked for, with what is known
    of the driver.
    """
    name = os.environ.get("CELLSCAPER_DEVICE") or ("cuda" if gpus else "cpu")
    if not re.fullmatch(r"cpu|cuda(:[0-9]{1,3})?", name):
        raise CellscaperError(
            f"CELLSCAPER_DEVICE={name}: expected cpu, cuda or a GPU by its number, for example cuda:1"
        )
    if name == "cpu":
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
    found, there = torch.device(name), torch.cuda.device_count()
    if (found.index or 0) >= there:
        raise CellscaperError(f"CELLSCAPER_DEVICE={name}: torch sees {there} GPUs; give a number from 0 to {there - 1}")
    return found


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
        status, said, fault = _ask(command)
    except FileNotFoundError:
        return "this machine has no nvidia-smi, so probably no NVIDIA driver"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nvidia-smi did not answer ({error})"
    lines = said.split("\n") if status == 0 else []
    cards = [line.split(", ", 1) for line in lines if ", " in line]
    if not cards:
        return f"nvidia-smi finds no GPU ({' '.join((fault or said).split()) or 'no message'})"
    return f"the driver is {cards[0][0]} with {len(cards)} GPU{'s' if len(cards) > 1 else ''} ({cards[0][1]})"


def _ask(command: list[str]) -> tuple[int, str, str]:
    """Exit status, output and errors of a command; TimeoutExpired after PATIENCE.

    Nobody waits for a process that cannot be ended, as nvidia-smi with a hanging driver, or for its children.
    """
    asked = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True
    )
    try:
        said, fault = asked.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(asked.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            asked.wait(1)
        raise
    return asked.returncode, said, fault
