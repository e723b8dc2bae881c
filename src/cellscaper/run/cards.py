"""Which of a machine's GPUs a job takes, where no cluster says so: jobs side by side each have cards of their own."""

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO

from cellscaper.run.progress import log

_held: list[IO[str]] = []  # open for as long as the process lives: its end, however it comes, frees the cards


def take_cards(wanted: int, there: int, folder: Path | None = None) -> list[int]:
    """The numbers of ``wanted`` of the ``there`` GPUs that no other job of cellscaper holds.

    The process holds them until it ends. Cards of others are shared, with a log line, if too few are free. ``folder``
    holds the locks (default: one of the user's in the temporary folder).
    """
    folder = folder or Path(tempfile.gettempdir()) / f"cellscaper-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    free: list[int] = []
    taken: list[int] = []
    for card in range(there):
        if len(free) == wanted:
            break
        lock = (folder / str(card)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            taken.append(card)
        else:
            _held.append(lock)
            free.append(card)
    shared = taken[: max(0, wanted - len(free))]
    if shared:
        log(f"GPU {', '.join(map(str, shared))}: another job computes there too; of {there} GPUs {len(free)} were free")
    return sorted(free + shared)


def choose_cards(wanted: int) -> None:
    """Show this process, and those that it starts, only GPUs of its own.

    It does nothing where CUDA_VISIBLE_DEVICES or CELLSCAPER_DEVICE is set (a cluster or a person has chosen), or where
    there are no more GPUs than asked for.
    """
    if "CUDA_VISIBLE_DEVICES" in os.environ or "CELLSCAPER_DEVICE" in os.environ:
        return
    import torch

    there = torch.cuda.device_count()  # by the driver's library: CUDA itself is not started before the choice
    if there > wanted:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, take_cards(wanted, there)))
