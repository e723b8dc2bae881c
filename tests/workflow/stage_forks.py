"""Runs stages in forks of one process that has imported their libraries, for tests that run hundreds of them.

Reads one JSON object a line from standard input: ``command`` (python, -m, module, arguments), ``folder`` to run in,
``log`` for its output, ``limit`` (bytes: the kernel kills the first write beyond) or null. Answers with the process id
at once, and with the exit status when it has ended (negative for a signal).
"""

import importlib
import json
import os
import pkgutil
import resource
import runpy
import signal
import sys
import traceback

import cellscaper.stages


def import_libraries() -> None:
    """What the stages import; not the stages, which are run as programs."""
    for one in pkgutil.iter_modules(cellscaper.stages.__path__):
        name = f"cellscaper.stages.{one.name}"
        importlib.import_module(name)
        del sys.modules[name]


def run(command: list[str], folder: str, log: str, limit: int | None) -> int:
    os.setsid()
    os.chdir(folder)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
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
    import_libraries()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 70
            try:
                status = run(**json.loads(line))
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(status)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
