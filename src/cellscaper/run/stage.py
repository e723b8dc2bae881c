"""The common part of all stages: arguments, threads, errors. It imports nothing heavy.

A stage is ``python -m cellscaper.stages.<rule> --<input> … --<output> … --config JSON --seed N --threads N``.
Stages that compute with torch also take --gpus N, which is 0 for the CPU. A training that is given more than one runs
itself again under torchrun, one process for each GPU; other stages use the first.
"""

import argparse
import errno
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

from cellscaper.errors import CellscaperError
from cellscaper.run import launch
from cellscaper.run.cards import choose_cards
from cellscaper.run.output import make_printable

_HOW_MANY = "?*+"  # the last character of an argument's name


class Arguments(argparse.Namespace):
    """Parsed arguments; ``inputs`` maps the names of the given input files to their paths."""

    config: Any
    seed: int
    threads: int
    gpus: int
    inputs: dict[str, Path]


class _Section(dict[str, Any]):
    """A section of the configuration; a missing key that a stage needs is an error line."""

    def __missing__(self, key: str) -> NoReturn:
        there = ", ".join(self) or "nothing"
        raise CellscaperError(f"--config has no {key!r}, it has {there}; give the section that the stage's rule gives")


def arguments(
    doc: str | None,
    inputs: Sequence[str],
    outputs: Sequence[str],
    options: Sequence[str] = (),
    gpus: Literal["none", "one", "several"] = "none",
) -> Arguments:
    """Parse a stage's command line.

    ``inputs`` and ``outputs`` are file options, ``options`` are plain text options. The last character of a name gives
    its number of values: ``?`` at most one (None without a value), ``*`` a list that may be empty, ``+`` a list of
    at least one; any other character exactly one. A list is written as ``--name A B C``; its files are ``name_0``,
    ``name_1`` … in the ``inputs`` of the result. A ``?`` or ``*`` option may have no value, so that a rule can always
    write ``--name {input.name:q}``.
    All stages take --config (JSON), --seed and --threads, and --gpus unless ``gpus`` is "none". With "several" this
    function does not return if it starts processes for several GPUs.
    """
    parser = argparse.ArgumentParser(description=doc)
    for name in (*inputs, *outputs):
        _add_argument(parser, name, type=Path, metavar="FILE")
    for name in options:
        _add_argument(parser, name)
    parser.add_argument("--config", type=_section, default=_Section(), metavar="JSON", help="the stage's section")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=_at_least_one, default=usual_threads())
    if gpus != "none":
        parser.add_argument("--gpus", type=_whole, default=0, help="GPUs that the stage may use; 0: the CPU")
        _add_argument(parser, "gres?", type=_gpus, help="GPUs in SLURM's words (gpu:2), where --gpus is 0")
    args = parser.parse_args(namespace=Arguments())
    args.gpus = (args.gpus or args.gres or 0) if gpus != "none" else 0
    args.inputs = _given_files(args, [name.rstrip(_HOW_MANY) for name in inputs])
    if gpus != "none" and args.gpus and launch.count() == 1:
        choose_cards(args.gpus)
    if gpus == "several" and args.gpus > 1 and launch.count() == 1:
        launch.torchrun(sys.modules["__main__"].__spec__.name, sys.argv[1:], args.gpus)  # type: ignore[union-attr]
    args.threads = max(1, args.threads // launch.count())
    use_threads(args.threads)
    return args


def _add_argument(parser: argparse.ArgumentParser, name: str, **settings: Any) -> None:
    """Add the option of a name that may end in ``?``, ``*`` or ``+``."""
    flag, many = "--" + name.rstrip(_HOW_MANY).replace("_", "-"), name[-1]
    if many in _HOW_MANY:
        settings.update(nargs=many, default=None if many == "?" else [])
    parser.add_argument(flag, required=many not in "?*", **settings)


def _given_files(args: argparse.Namespace, names: Sequence[str]) -> dict[str, Path]:
    """The given input files by name; the files of a list are numbered."""
    found: dict[str, Path] = {}
    for name in names:
        value = getattr(args, name)
        if isinstance(value, list):
            found.update({f"{name}_{i}": file for i, file in enumerate(value)})
        elif value is not None:
            found[name] = value
    return found


def matched(args: argparse.Namespace, *names: str) -> list[Any]:
    """Tuples of the values of several lists; CellscaperError for lists of different lengths."""
    lists = [getattr(args, name) for name in names]
    if len({len(values) for values in lists}) > 1:
        given = ", ".join(
            f"{len(values)} --{name.replace('_', '-')}" for name, values in zip(names, lists, strict=True)
        )
        raise CellscaperError(f"{given}: expected as many of each; give lists of equal length")
    return list(zip(*lists, strict=True))


def _section(text: str) -> _Section:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is not a JSON object")
    return _Section(found)


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _gpus(text: str) -> int:
    """The number in ``gpu``, ``gpu:2`` or ``gpu:a100:2``; 0 for another kind of SLURM's generic resources."""
    found = re.fullmatch(r"gpu(?::[\w.]*[A-Za-z][\w.]*)?(?::(\d+))?", text)
    return int(found[1] or 1) if found else 0


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def usual_threads() -> int:
    """The number of threads in OMP_NUM_THREADS (the outermost level of a list), else one for each core."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(first) if first.isdecimal() and int(first) else os.cpu_count() or 1


def use_threads(n: int) -> None:
    """Limit BLAS, OpenMP and torch to n threads: two torch jobs with default numbers slow each other down 30×."""
    from threadpoolctl import threadpool_limits

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(n)
    threadpool_limits(n)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n)


def run(main: Callable[[], None]) -> NoReturn:
    """Run a stage's ``main`` and exit: 0, or 1 with a one-line error, or 143 on SIGTERM."""
    name = Path(sys.argv[0]).stem
    make_printable()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # SLURM's warning may come before a training can save its state, or when it has ended. It is ignored, not handled:
    # Python takes its handlers away at its end.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        main()
    except CellscaperError as error:
        sys.exit(f"{name}: error: {' '.join(str(error).split())}")
    except OSError as error:
        if error.errno is None:
            raise
        full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        hint = "; free disk space or raise the quota, then run again" if error.errno in full else ""
        sys.exit(f"{name}: error: {error.strerror}: {error.filename or 'no file named'}{hint}")
    except KeyboardInterrupt:
        sys.exit(f"{name}: stopped")
    sys.exit(0)
