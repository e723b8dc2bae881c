"""The page of the benchmarks: what a benchmark reports is what stands on it."""

import importlib
import os
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def modules(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield importlib.import_module("outcome"), importlib.import_module("page")
    for name in ("outcome", "page"):
        del sys.modules[name]


def test_a_reported_ratio_is_judged_and_kept(modules, tmp_path, monkeypatch, capsys):
    outcome, _ = modules
    monkeypatch.setenv(outcome.VARIABLE, str(tmp_path / "all.jsonl"))
    assert outcome.report("fast", "ours", "theirs", [2.0, 4.0, 3.0], 2.5) == 0
    assert outcome.report("slow", "ours", "theirs", 2.0, 2.5) == 1
    assert outcome.report("small", "ours", "theirs", 2.0, 2.5, at_most=True) == 0
    assert outcome.report("unequal", "ours", "theirs", 9.0, 2.5, also=False) == 1
    assert outcome.report("broken", "ours", "theirs", float("nan"), None) == 1
    kept = outcome.read(tmp_path / "all.jsonl")
    assert [one.ok for one in kept] == [True, False, True, False, False]
    assert (kept[0].ratio, kept[0].low, kept[0].high, kept[0].n) == (3.0, 2.0, 4.0, 3)
    assert "fast ratio=3 goal=2.5 ok" in capsys.readouterr().out


@pytest.mark.slow
def test_the_page_runs_what_it_names_and_shows_what_it_said(modules, tmp_path, monkeypatch):
    _, page = modules
    assert all((BENCHMARKS / f"{name}.py").is_file() for name in page.NAMES)
    (tmp_path / "outcome.py").write_text((BENCHMARKS / "outcome.py").read_text(encoding="utf-8"), encoding="utf-8")
    lines = ["import subprocess, sys", "from outcome import report", "block = b'1' * (60 << 20)"]
    (tmp_path / "child.py").write_text("import time\nblock = b'1' * (70 << 20)\ntime.sleep(1)\n", encoding="utf-8")
    lines.append(f"subprocess.run([sys.executable, {str(tmp_path / 'child.py')!r}], check=True)")
    lines.append('sys.exit(report("a", "A", "B", 3.0, 5.0))')
    (tmp_path / "good.py").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "bad.py").write_text("raise SystemExit(3)\n", encoding="utf-8")
    monkeypatch.setattr(page, "HERE", tmp_path)
    runs = [page.run(name) for name in ("good", "bad")]
    assert [done.status for done in runs] == [1, 3]
    assert 60 < runs[0].outcomes[0].peak < 125
    assert runs[0].peak > 130  # its child has 70
    text = page.render(runs, {"machine": "here"})
    assert "| machine | here |" in text
    assert "| A | B | 3 | ≥ 5: **SHORT** |  |" in text
    assert "ended with 3 before its last outcome" in text


@pytest.fixture
def gpu_check(monkeypatch):
    """Calls gpu_check with some words; its data are not made."""
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(BENCHMARKS)
    for name in ("CELLSCAPER_DEVICE", "PYTHONPATH"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # so that what the script sets is taken back
    module = importlib.import_module("gpu_check")
    monkeypatch.setattr(module.Stages, "data", lambda self: "made")

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["gpu_check.py", *words])
        return module.main()

    yield call
    del sys.modules["gpu_check"]


def test_a_check_of_the_gpu_without_one_is_one_line(gpu_check, capsys):
    if importlib.import_module("torch").cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert gpu_check() == 2
    said = capsys.readouterr()
    assert not said.out and len(said.err.splitlines()) == 1
    assert "sees none" in said.err and "--device cpu" in said.err


def test_a_check_that_is_not_there_is_told_with_the_nearest(gpu_check, capsys):
    assert gpu_check("--device", "cpu", "--only", "sample_layout topocellgen") == 2
    assert "no check has it in its name; did you mean 'sample_layouts topocellgen'?" in capsys.readouterr().err


def test_checks_that_did_not_run_are_not_counted(gpu_check, capsys):
    assert gpu_check("--device", "cpu", "--only", "group norm") == 0
    assert "\n0 of 2 checks that ran failed" in capsys.readouterr().out
