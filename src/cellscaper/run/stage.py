"""What all stages share: arguments, threads, errors. Imports nothing heavy.

A stage is ``python -m cellscaper.stages.<rule> --<input> … --<output> … --config JSON --seed N --threads N``.
Trainings take --gpus N, too: above 1 the stage runs itself again under torchrun, one process for each GPU.
"""

import argparse
import errno
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from cellscaper.errors import CellscaperError
from cellscaper.run import launch


class Arguments(argparse.Namespace):
    """Parsed arguments; ``inputs`` maps the names of the given input files to their paths."""

    config: Any
    seed: int
    threads: int
    inputs: dict[str, Path]


def arguments(
    doc: str | None, inputs: Sequence[str], outputs: Sequence[str], options: Sequence[str] = (), gpus: bool = False
) -> Arguments:
    """Parse a stage's command line.

    ``inputs`` and ``outputs`` are file options; an input whose name ends in ``?`` may be left out (None).
    ``options`` are plain text options. All stages take --config (JSON), --seed and --threads; with ``gpus`` a stage
    takes --gpus as well, and does not come back from here where it starts processes for several.
    """
    parser = argparse.ArgumentParser(description=doc)
    names = [name.rstrip("?") for name in inputs]
    for raw, name in zip(inputs, names, strict=True):
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, required=not raw.endswith("?"), metavar="FILE")
    for name in outputs:
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, required=True, metavar="FILE")
    for name in options:
        parser.add_argument(f"--{name.replace('_', '-')}", required=True)
    parser.add_argument("--config", type=json.loads, default={}, metavar="JSON", help="this stage's config section")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=_at_least_one, default=usual_threads())
    if gpus:
        parser.add_argument("--gpus", type=_whole, default=0, help="processes for as many GPUs; 0 and 1 are one")
    args = parser.parse_args(namespace=Arguments())
    args.inputs = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if gpus and args.gpus > 1 and launch.count() == 1:
        launch.torchrun(sys.modules["__main__"].__spec__.name, sys.argv[1:], args.gpus)  # type: ignore[union-attr]
    args.threads = max(1, args.threads // launch.count())
    use_threads(args.threads)
    return args


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def usual_threads() -> int:
    """Those of OMP_NUM_THREADS (the outermost level of a list), else one for each core."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return int(first) if first.isdecimal() and int(first) else os.cpu_count() or 1


def use_threads(n: int) -> None:
    """Keep BLAS, OpenMP and torch to n threads: two torch jobs with default counts slow each other 30×."""
    from threadpoolctl import threadpool_limits

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(n)
    threadpool_limits(n)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n)


def run(main: Callable[[], None]) -> NoReturn:
    """Run a stage's ``main`` and exit: 0, or 1 with a one-line error, or 143 on SIGTERM."""
    name = Path(sys.argv[0]).stem
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
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
