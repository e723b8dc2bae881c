"""Runs stages, or Snakemake, in forks of one process that has imported their libraries, for tests that run hundreds.

    python program_forks.py stages|snakemake

Reads one JSON object a line from standard input: ``command`` (python, -m, module, arguments), ``folder`` to run in,
``log`` for its output, ``environment`` or null for this process's own, ``limit`` (bytes: the kernel kills the first
write beyond) or null. Answers with the process id at once, and when it has ended with its exit status (negative for a
signal) and the CPU seconds of it and its children.
"""

import importlib
import json
import logging
import os
import pkgutil
import resource
import runpy
import signal
import sys
import traceback


def import_stages() -> None:
    """What the stages import; not the stages, which are run as programs."""
    import cellscaper.stages

    for one in pkgutil.iter_modules(cellscaper.stages.__path__):
        name = f"cellscaper.stages.{one.name}"
        importlib.import_module(name)
        del sys.modules[name]


def import_snakemake() -> None:
    """Snakemake and its local executor; nothing of cellscaper, whose folder each command chooses."""
    for name in ("snakemake.cli", "snakemake.executors.local", "docutils.core"):
        importlib.import_module(name)


def run(command: list[str], folder: str, log: str, environment: dict[str, str] | None, limit: int | None) -> int:
    os.setsid()
    os.chdir(folder)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout.reconfigure(write_through=True)
    if environment is not None:
        os.environ.clear()
        os.environ.update(environment)
        sys.path[1:1] = environment.get("PYTHONPATH", "").split(os.pathsep)
        sys.path[0] = folder
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    module = command[2]
    sys.argv = command[2:]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as stop:
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
            return 1
        return int(stop.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    {"stages": import_stages, "snakemake": import_snakemake}[sys.argv[1]]()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 70
            try:
                status = run(**json.loads(line))
                logging.shutdown()
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(status)
        print(child, flush=True)
        _, status, used = os.wait4(child, 0)
        print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, flush=True)


if __name__ == "__main__":
    main()
