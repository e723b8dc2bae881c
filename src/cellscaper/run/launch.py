"""A stage that trains on several GPUs runs itself again under torchrun, once for each GPU."""

import os
import sys
from typing import NoReturn

SIGNALS = "SIGTERM,SIGINT,SIGHUP,SIGUSR1"  # torchrun passes them to the processes
GRACE = 600  # seconds that they then have to finish their step and save; a scheduler ends the job earlier if it must
_INSIDE = "TORCHELASTIC_RUN_ID"


def count() -> int:
    """The number of processes of this stage under torchrun; 1 without it."""
    return int(os.environ["WORLD_SIZE"]) if _INSIDE in os.environ else 1


def rank() -> int:
    """The number of this process, from 0. Only rank 0 writes files and log lines."""
    return int(os.environ["RANK"]) if count() > 1 else 0


def torchrun(module: str, arguments: list[str], processes: int) -> NoReturn:
    """Run ``python -m module`` in ``processes`` processes of this machine, and exit when they end.

    The exit status is that of the first process that failed, or 143 if a signal stopped them.
    """
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(GRACE))  # torch < 2.13 ignores it: 30 s
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
