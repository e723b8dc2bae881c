"""The device of a job: what its rule asks for, one sentence where there is no GPU."""

import stat
import time

import pytest
import torch

from cellscaper.errors import CellscaperError
from cellscaper.run import devices
from cellscaper.run.devices import best_device, device, driver


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    monkeypatch.delenv("CELLSCAPER_DEVICE", raising=False)


def cuda(monkeypatch, there, count=1):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count if there else 0)


def smi(monkeypatch, folder, text, status=0):
    """An nvidia-smi that says ``text``."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit {status}\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_a_job_without_gpus_computes_on_the_cpu_where_there_is_one(monkeypatch):
    cuda(monkeypatch, True)
    assert device(0) == torch.device("cpu")
    assert device(1) == torch.device("cuda")
    assert best_device() == torch.device("cuda")


def test_a_command_takes_the_cpu_where_there_is_no_gpu(monkeypatch):
    cuda(monkeypatch, False)
    assert best_device() == torch.device("cpu")


def test_the_environment_comes_first(monkeypatch):
    cuda(monkeypatch, True, 2)
    monkeypatch.setenv("CELLSCAPER_DEVICE", "cpu")
    assert device(1) == best_device() == torch.device("cpu")
    monkeypatch.setenv("CELLSCAPER_DEVICE", "cuda:1")
    assert device(0) == torch.device("cuda", 1)


def test_a_job_that_asks_for_a_gpu_and_gets_none_says_what_to_do(monkeypatch, tmp_path):
    cuda(monkeypatch, False)
    smi(monkeypatch, tmp_path, "535.104.05, NVIDIA A100-SXM4-80GB\n535.104.05, NVIDIA A100-SXM4-80GB")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(CellscaperError) as error:
        device(1)
    said = str(error.value)
    assert said == (
        f"the job asks for a GPU, but torch {torch.__version__} (built for CUDA 13.0) sees none; the driver is "
        "535.104.05 with 2 GPUs (NVIDIA A100-SXM4-80GB); install the build of torch that fits the driver "
        "(docs/gpu.md), or set gpu: 0 for the rule in config `resources`, or CELLSCAPER_DEVICE=cpu, to compute on "
        "the CPU"
    )
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setenv("CELLSCAPER_DEVICE", "cuda")
    with pytest.raises(CellscaperError, match=r"^CELLSCAPER_DEVICE=cuda, but torch .* \(a build without CUDA\)"):
        device(0)


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("NVIDIA-SMI has failed\nbecause it couldn't communicate", 9, "finds no GPU (NVIDIA-SMI has failed because"),
        ("", 0, "nvidia-smi finds no GPU (no message)"),
        ("570.1, NVIDIA L40S", 0, "the driver is 570.1 with 1 GPU (NVIDIA L40S)"),
    ],
)
def test_what_the_driver_says(monkeypatch, tmp_path, text, status, said):
    smi(monkeypatch, tmp_path, text, status)
    assert said in driver()


def test_a_machine_without_a_driver(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert driver() == "this machine has no nvidia-smi, so probably no NVIDIA driver"


def test_each_process_of_a_training_has_its_own_gpu(monkeypatch):
    cuda(monkeypatch, True, 2)
    monkeypatch.setattr(devices.launch, "count", lambda: 2)
    monkeypatch.setattr(devices.launch, "rank", lambda: 1)
    assert device(2) == torch.device("cuda", 1)
    cuda(monkeypatch, True, 1)
    with pytest.raises(CellscaperError, match="2 GPUs are asked for and torch sees 1"):
        device(2)


@pytest.mark.parametrize("name", ["gpu", "CPU", "cuda:x", "cuda:-1", "cudaa", "meta", " ", "cuda:1000000"])
def test_another_device_is_one_line(monkeypatch, name):
    cuda(monkeypatch, True, 2)
    monkeypatch.setenv("CELLSCAPER_DEVICE", name)
    with pytest.raises(CellscaperError, match="expected cpu, cuda or a GPU by its number"):
        device(1)


def test_a_gpu_that_is_not_there_is_one_line(monkeypatch):
    cuda(monkeypatch, True, 2)
    monkeypatch.setenv("CELLSCAPER_DEVICE", "cuda:2")
    with pytest.raises(CellscaperError, match="torch sees 2 GPUs; give a number from 0 to 1"):
        device(1)


def program(monkeypatch, folder, body):
    path = folder / "nvidia-smi"
    path.write_bytes(b"#!/bin/sh\n" + body)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_nobody_waits_for_a_driver_that_hangs(monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "PATIENCE", 0.2)
    program(monkeypatch, tmp_path, b"sleep 300 &\nwait\n")  # the child holds the pipe
    began = time.monotonic()
    assert driver().startswith("nvidia-smi did not answer (")
    assert time.monotonic() - began < 60


def test_bytes_that_are_no_text_are_no_driver(monkeypatch, tmp_path):
    program(monkeypatch, tmp_path, b"printf '\\377\\376 nothing'; exit 3\n")
    assert driver().startswith("nvidia-smi finds no GPU (")
