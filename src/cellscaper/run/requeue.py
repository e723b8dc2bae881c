"""A training that SLURM warns of its time limit puts its own job back into the queue.

The warning is SIGUSR1 (``--signal=USR1@300`` of the rules that train). The job keeps its number, so Snakemake goes on
waiting for it, and it costs none of the job's tries.
"""

import os
import signal
import subprocess
import sys
import time
from typing import NoReturn

from cellscaper.run.progress import log

WAIT = 120  # s until SLURM has ended this job, at most


def requeue(what: str) -> None:
    """Put this process's SLURM job back into its queue, and end with it; return where there is none or it cannot."""
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return
    signal.signal(signal.SIGTERM, _end)
    try:
        said = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        log(f"{what}: job {job} could not go back into the queue ({error}); its next try goes on")
        return
    if said.returncode:
        log(f"{what}: job {job} could not go back into the queue ({said.stderr.strip()}); its next try goes on")
        return
    log(f"{what}: job {job} goes back into the queue and goes on from there")
    time.sleep(WAIT)  # an end of its own before SLURM's would be the end of a try


def _end(*_: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)
