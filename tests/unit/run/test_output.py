"""Output that any terminal shows, a home folder that cannot be written, paths with blanks in make."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cellscaper.run.output import cache_fault

REPOSITORY = Path(__file__).resolve().parents[3]


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={**os.environ, **environment}, timeout=60
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_no_encoding_ends_a_stage(encoding):
    code = "from cellscaper.run import stage; stage.run(lambda: print('0.5 µm × 2 – \\udcff ✗'))"
    done = run(code, PYTHONIOENCODING=encoding)
    assert done.returncode == 0 and done.stderr == b""
    text = done.stdout.decode(encoding)
    assert "µm × 2" in text if encoding != "ascii" else text.startswith("0.5 um x 2 -")


def test_a_home_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_fault() is None
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert "set XDG_CACHE_HOME" in cache_fault()


make = pytest.mark.skipif(shutil.which("make") is None, reason="no make here")


@make
@pytest.mark.parametrize("path", ["/data/brca m2c", '/it\'s "here"/a', "below/a b", "/plain"])
def test_make_takes_paths_with_blanks_and_quotes(path):
    done = subprocess.run(
        ["make", "-n", "-o", ".venv/ready", "brca", f"BRCA_M2C={path}"], cwd=REPOSITORY, capture_output=True, text=True
    )
    line = next(line for line in done.stdout.splitlines() if "snakemake" in line and "--config " in line)
    words = shlex.split(line)
    given = next(word for word in words if word.startswith("datasets="))
    wanted = path if path.startswith("/") else f"{REPOSITORY}/{path}"
    assert json.loads(given.removeprefix("datasets=")) == {"brca_m2c": {"path": wanted}}


@make
def test_make_answers_a_home_that_cannot_be_written_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "file")}
    done = subprocess.run(["make", "home"], cwd=REPOSITORY, capture_output=True, text=True, env=environment)
    assert done.returncode != 0 and "set XDG_CACHE_HOME" in done.stderr.splitlines()[0]
