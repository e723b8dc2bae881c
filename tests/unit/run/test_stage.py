"""A stage's command line, its exit status and last words, and the threads it takes."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cellscaper.errors import CellscaperError
from cellscaper.run import stage

CAUGHT = """
import sys, time
from cellscaper.run import stage
from cellscaper.disk.files import atomic

def main():
    with atomic(sys.argv[1]) as partial:
        partial.write_text("half")
        print("started", flush=True)
        time.sleep(60)

stage.run(main)
"""
THREADS = """
import json, sys
{before}
from cellscaper.run import stage
args = stage.arguments("", [], [])
import numpy, scipy.linalg, torch
from threadpoolctl import threadpool_info
pools = {{one["filepath"]: one["num_threads"] for one in threadpool_info()}}
print(json.dumps([args.threads, torch.get_num_threads(), pools]))
"""


@pytest.fixture(autouse=True)
def undisturbed(monkeypatch):
    """Signals and thread settings are left as they were; the stage is called cut_patches."""
    monkeypatch.setattr(sys, "argv", ["/somewhere/stages/cut_patches.py"])
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # so that what `use_threads` sets is undone
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


def ended(main):
    """The argument of sys.exit with which a stage ends: a text stands for status 1 and that text on standard error."""
    with pytest.raises(SystemExit) as caught:
        stage.run(main)
    return caught.value.code


def raising(error):
    def main():
        raise error

    return main


# -- ends --------------------------------------------------------------------------------------------------


def test_a_stage_that_returns_succeeds():
    assert ended(lambda: None) == 0


def test_bad_input_is_one_line_whatever_the_message_holds():
    assert ended(raising(CellscaperError("line 3:\n  four\tcolumns"))) == "cut_patches: error: line 3: four columns"


def test_a_missing_file_is_named(tmp_path):
    text = ended(lambda: print((tmp_path / "cells.h5").read_text()))
    assert text == f"cut_patches: error: No such file or directory: {tmp_path / 'cells.h5'}"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_told_with_what_to_do(number):
    text = ended(raising(OSError(number, os.strerror(number), "out/x.h5")))
    assert (
        text
        == f"cut_patches: error: {os.strerror(number)}: out/x.h5; free disk space or raise the quota, then run again"
    )


def test_an_error_of_the_system_without_a_file_is_one_line():
    assert ended(raising(OSError(errno.EIO, "Input/output error"))) == (
        "cut_patches: error: Input/output error: no file named"
    )


@pytest.mark.parametrize("error", [ValueError("bug"), KeyError("bug"), OSError("bug"), FileNotFoundError("bug")])
def test_bugs_keep_their_traceback(error):
    with pytest.raises(type(error), match="bug"):
        stage.run(raising(error))


def test_an_interrupted_stage_says_so():
    assert ended(raising(KeyboardInterrupt())) == "cut_patches: stopped"


def test_a_stage_may_choose_its_own_status():
    assert ended(lambda: sys.exit(7)) == 7


def test_sigterm_ends_a_stage_with_143_and_leaves_no_half_written_file(tmp_path):
    command = [sys.executable, "-c", CAUGHT, str(tmp_path / "x")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"started\n"
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 143
    assert errors == b""
    assert list(tmp_path.iterdir()) == []


# -- arguments ---------------------------------------------------------------------------------------------


def parse(*words, inputs=("cells", "model?"), outputs=("out_file",), options=("targets",)):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "use_threads", lambda n: None)
        patch.setattr(sys, "argv", ["stage", *words])
        return stage.arguments("What it does.", inputs, outputs, options)


ALL = os.cpu_count()
GIVEN = ("--cells", "a/cells.h5", "--out-file", "o.h5", "--targets", "test")


def test_all_that_is_given_is_parsed():
    args = parse(*GIVEN, "--model", "m", "--config", '{"a": [1, null]}', "--seed", "4", "--threads", "1")
    assert (args.cells, args.model, args.out_file) == (Path("a/cells.h5"), Path("m"), Path("o.h5"))
    assert (args.targets, args.config, args.seed, args.threads) == ("test", {"a": [1, None]}, 4, 1)
    assert args.inputs == {"cells": Path("a/cells.h5"), "model": Path("m")}


@pytest.mark.parametrize("empty", [(), ("--model",)])
def test_an_optional_input_may_be_left_out(empty):
    args = parse(*empty, *GIVEN)
    assert args.model is None
    assert args.inputs == {"cells": Path("a/cells.h5")}
    assert (args.config, args.seed) == ({}, 0)


LISTS = {"inputs": ("scores+", "counts*", "cells"), "options": ("detectors+", "labels*"), "outputs": ()}


def test_lists_are_given_as_words_and_their_files_are_numbered():
    odd = "my results (ä) 'x'/\"b\".csv"
    words = ("--scores", odd, "s.csv", "--counts", "--cells", "c.h5", "--detectors", "unet", "a b", "--labels", "l")
    args = parse(*words, **LISTS)
    assert (args.scores, args.counts, args.cells) == ([Path(odd), Path("s.csv")], [], Path("c.h5"))
    assert (args.detectors, args.labels) == (["unet", "a b"], ["l"])
    assert args.inputs == {"scores_0": Path(odd), "scores_1": Path("s.csv"), "cells": Path("c.h5")}


def test_a_list_that_may_be_empty_may_be_left_out():
    args = parse("--scores", "s.csv", "--cells", "c.h5", "--detectors", "unet", **LISTS)
    assert (args.counts, args.labels) == ([], [])


def test_lists_are_matched_value_by_value():
    words = ("--scores", "s.csv", "t.csv", "--cells", "c.h5", "--detectors", "unet", "a b", "--labels", "l")
    args = parse(*words, **LISTS)
    assert stage.matched(args, "detectors", "scores") == [("unet", Path("s.csv")), ("a b", Path("t.csv"))]
    with pytest.raises(CellscaperError, match="2 --scores, 1 --labels: expected as many of each"):
        stage.matched(args, "scores", "labels")


@pytest.mark.parametrize("name", ["scores", "detectors"])
@pytest.mark.parametrize("empty", [True, False])
def test_a_list_of_at_least_one_must_be_given(name, empty, capsys):
    words = {"scores": ["s.csv"], "cells": ["c.h5"], "detectors": ["unet"], name: []}
    given = [word for one, values in words.items() if values or empty for word in (f"--{one}", *values)]
    with pytest.raises(SystemExit) as caught:
        parse(*given, **LISTS)
    assert caught.value.code == 2
    assert f"--{name}" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (GIVEN[2:], "--cells"),
        (GIVEN[:2] + GIVEN[4:], "--out-file"),
        (GIVEN[:4], "--targets"),
        ((*GIVEN, "--celsl", "x"), "--celsl"),
        ((*GIVEN, "--config", "{a"), "--config"),
        ((*GIVEN, "--seed", "one"), "--seed"),
        ((*GIVEN, "--threads", "0"), "--threads"),
        ((*GIVEN, "--threads", "many"), "--threads"),
    ],
)
def test_a_wrong_command_line_is_told_with_status_2(words, told, capsys):
    with pytest.raises(SystemExit) as caught:
        parse(*words)
    assert caught.value.code == 2
    assert told in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("value", "threads"), [("3", 3), ("5,2", 5), ("", ALL), ("0", ALL), ("many", ALL), (None, ALL)]
)
def test_threads_are_those_of_the_environment_or_all(value, threads, monkeypatch):
    if value is None:
        monkeypatch.delenv("OMP_NUM_THREADS")
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert parse(*GIVEN).threads == threads


# -- threads -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("before", ["import torch, scipy.linalg", ""], ids=["loaded", "later"])
def test_a_stage_keeps_to_its_threads_whenever_its_libraries_are_loaded(before):
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    run = subprocess.run(
        [sys.executable, "-c", THREADS.format(before=before), "--threads", "1"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    threads, torch_threads, pools = json.loads(run.stdout)
    assert (threads, torch_threads) == (1, 1)
    assert pools
    assert set(pools.values()) == {1}


# -- the section --------------------------------------------------------------------------------------------------


def test_a_section_without_a_key_is_an_error_line_that_names_the_keys(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["cut_patches.py", "--config", '{"region": 64}'])
    section = stage.arguments("", [], []).config
    assert section["region"] == 64
    assert section.get("small") is None
    with pytest.raises(CellscaperError, match=r"--config has no 'small', it has region; give the section"):
        section["small"]


@pytest.mark.parametrize(("text", "why"), [("{region: 64}", "is not JSON"), ("[64]", "is not a JSON object")])
def test_a_section_that_is_not_an_object_is_refused(monkeypatch, capsys, text, why):
    monkeypatch.setattr(sys, "argv", ["cut_patches.py", "--config", text])
    with pytest.raises(SystemExit) as caught:
        stage.arguments("", [], [])
    assert caught.value.code == 2
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "gpus"),
    [
        (["--gpus", "0", "--gres"], 0),
        (["--gpus", "1", "--gres"], 1),
        (["--gpus", "0", "--gres", "gpu:1"], 1),
        (["--gpus", "0", "--gres", "gpu"], 1),
        (["--gpus", "0", "--gres", "gpu:a100:2"], 2),
        (["--gpus", "0", "--gres", "gpu:a100"], 1),
        (["--gpus", "0", "--gres", "tmpspace:100"], 0),
        ([], 0),
    ],
)
def test_gpus_are_those_of_the_rule_or_of_slurms_words(monkeypatch, given, gpus):
    monkeypatch.setenv("CELLSCAPER_DEVICE", "cpu")
    monkeypatch.setattr(sys, "argv", ["stage", *given])
    assert stage.arguments("", [], [], gpus="one").gpus == gpus


def test_a_stage_that_uses_no_gpu_refuses_them(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["stage", "--gpus", "1"])
    with pytest.raises(SystemExit):
        stage.arguments("", [], [])
    assert "unrecognized arguments: --gpus 1" in capsys.readouterr().err
