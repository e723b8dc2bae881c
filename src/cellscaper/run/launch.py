"""A stage that trains on several GPUs runs itself again, once for each, under torchrun."""

import os
import sys
from typing import NoReturn

SIGNALS = "SIGTERM,SIGINT,SIGHUP,SIGUSR1"  # handed on to the processes, which then have 30 s
_INSIDE = "TORCHELASTIC_RUN_ID"


def count() -> int:
    """How many processes torchrun made of this stage; 1 without it."""
    return int(os.environ["WORLD_SIZE"]) if _INSIDE in os.environ else 1


def rank() -> int:
    """Which of them this one is, from 0. Rank 0 writes files and talks."""
    return int(os.environ["RANK"]) if count() > 1 else 0


def torchrun(module: str, arguments: list[str], processes: int) -> NoReturn:
    """Run ``python -m module`` in ``processes`` processes of this machine, and exit as they end.

    The exit status is that of the first process that failed, 143 where they were told to stop.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main

    own = ["--standalone", f"--nproc-per-node={processes}", f"--signals-to-handle={SIGNALS}", "--module", module]
    try:
        main([*own, *arguments])
    except SignalException:
        sys.exit(143)
    except ChildFailedError as error:
        sys.exit(abs(error.get_first_failure()[1].exitcode))
    sys.exit(0)
