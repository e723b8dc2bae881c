"""A copy of the repository in which the `ci` preset was run to the end, once for all tests of the workflow.

The processes of pytest-xdist share it, and the lists of jobs: the first one that needs them makes them (`once`). Tests
marked `long` are run by `make test-long` alone, tests marked `alone` measure time and are run after the others.
"""

import compileall
import fcntl
import functools
import json
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "config.yaml", "workflow", "src", "envs")
CI = "workflow/presets/ci.yaml"
LOCAL = "workflow/profiles/local"
READ_ALL = """
from cellscaper.plan.modules import SRC, fingerprint
for file in SRC.rglob("*.py"):
    fingerprint(".".join(file.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__"))
"""
_JOB = re.compile(r"(?:local)?rule (\w+):")
_ENTRY = re.compile(r"    (\w+): (.*)")


@dataclass(frozen=True)
class Job:
    """One job of a dry run."""

    rule: str
    entries: dict[str, str] = field(default_factory=dict)  # input, output, log, benchmark, reason, …
    shell: list[str] = field(default_factory=list)  # its command in the dry run, at most one

    def files(self, kind: str) -> list[str]:
        """Its files of a kind: input or output."""
        return [one.removesuffix(" (cached)") for one in self.entries.get(kind, "").split(", ") if one]

    def pairs(self, kind: str) -> dict[str, str]:
        """Its wildcards or resources."""
        return dict(one.split("=", 1) for one in self.entries.get(kind, "").split(", ") if one)

    @property
    def name(self) -> str:
        """Rule and wildcards, e.g. ``score_layouts phantom/adm/components/0``."""
        return f"{self.rule} {'/'.join(self.pairs('wildcards').values())}"

    @property
    def command(self) -> list[str]:
        """The stage's own command line, without the log."""
        python, *rest = shlex.split(self.shell[0].split(" 2>&1 | tee ")[0])
        assert python == "python"
        return [sys.executable, *rest]


@dataclass(frozen=True)
class Ended:
    """A process that ended: exit status, standard output and error together, wall and CPU seconds."""

    status: int
    text: str
    seconds: float
    cpu: float


class Workflow:
    """A copy of the repository, with the results that were made in it."""

    def __init__(self, folder: Path):
        self.folder = folder
        own = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("CELLSCAPER_", "SNAKEMAKE_", "OMP_"))}
        python = {"PYTHONPATH": str(folder / "src"), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        self.environment = {**kept, **python, "PATH": own}

    def copy(self, folder: Path) -> "Workflow":
        """The same in another folder, times of files included."""
        shutil.copytree(self.folder, folder)
        return Workflow(folder)

    @property
    def results(self) -> Path:
        """The folder of the results of the `ci` preset's data set."""
        return self.folder / "results/phantom"

    def start(self, command: list[str], **options) -> subprocess.Popen:
        """Start a command here, in its own process group."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **options,
        )

    def run(self, command: list[str]) -> Ended:
        """Run a command here to its end."""
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        process = self.start(command)
        text, _ = process.communicate()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Ended(process.returncode, text, time.monotonic() - began, cpu)

    def command(
        self, *arguments: str, overlays: tuple[str, ...] = (CI,), cores: int = 2, profile: str = LOCAL
    ) -> list[str]:
        """The Snakemake command line, as the Makefile has it."""
        configs = ["--configfile", *overlays] if overlays else []
        profiles = ["--workflow-profile", profile, "--cores", str(cores)]
        return [sys.executable, "-m", "snakemake", *profiles, *arguments, *configs]

    def snakemake(self, *arguments: str, anew: bool = False, **options: Any) -> Ended:
        """Run Snakemake here; options as of `command`. ``anew``: as a program of its own, imports included."""
        command = self.command(*arguments, **options)
        if anew:
            return self.run(command)
        with tempfile.TemporaryDirectory() as log:
            return snakemakes().run(self, command, log=Path(log), environment=self.environment)

    def planned(self, *arguments: str, **options: Any) -> tuple[list[Job], Ended]:
        """The jobs of a dry run, without `all`, and how it went."""
        ended = self.snakemake("--dry-run", "--printshellcmds", *arguments, **options)
        assert ended.status == 0, ended.text
        return listed(ended.text), ended

    def plan(self, *arguments: str, **options: Any) -> list[Job]:
        """The jobs of a dry run, without `all`."""
        return self.planned(*arguments, **options)[0]

    def overlay(self, name: str, text: str) -> tuple[str, str]:
        """The `ci` preset with a config of one's own over it."""
        (self.folder / name).write_text(text, encoding="utf-8")
        return CI, name


def listed(text: str) -> list[Job]:
    """The jobs that a dry run with the shell's commands lists, without `all`."""
    jobs: list[Job] = []
    for line in text.splitlines():
        if found := _JOB.fullmatch(line):
            jobs.append(Job(found[1]))
        elif jobs and (found := _ENTRY.fullmatch(line)):
            jobs[-1].entries[found[1]] = found[2]
        elif jobs and line.startswith("Shell command: "):
            jobs[-1].shell.append(line.removeprefix("Shell command: "))
    counted = re.search(r"^total +(\d+)$", text, re.MULTILINE)
    assert len(jobs) == (int(counted[1]) if counted else 0), text  # the parser missed none
    return [job for job in jobs if job.rule != "all"]


# -- what the processes of pytest-xdist share ------------------------------------------------------------------------


def once(folder: Path, name: str, make: Callable[[], Any]) -> Any:
    """What ``make`` returns (JSON), called by the first process that needs it; the others wait for it."""
    kept = folder / f"{name}.json"
    with open(folder / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_text(json.dumps(make()), encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the processes of this test run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def copy_of_the_repository(folder: Path) -> str:
    """A copy of what a run needs."""
    for part in PARTS:
        if (REPOSITORY / part).is_dir():
            shutil.copytree(
                REPOSITORY / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        else:
            shutil.copy2(REPOSITORY / part, folder / part)
    compileall.compile_dir(folder / "src", quiet=1)  # now, since nothing is to be written there while it is copied
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run([sys.executable, "-c", READ_ALL], env=environment, check=True)
    return str(folder)


@pytest.fixture(scope="session")
def house(shared: Path) -> Workflow:
    """A copy of the repository in which nothing was run. Not to be changed."""
    (shared / "house").mkdir(exist_ok=True)
    return Workflow(Path(once(shared, "house", lambda: copy_of_the_repository(shared / "house"))))


@pytest.fixture(scope="session")
def whole_run(house: Workflow, shared: Path) -> tuple[Workflow, Ended]:
    """A copy in which the `ci` preset was run to the end, and how that went. Not to be changed.

    Its folder has a blank, a quote and a letter beyond ASCII: so the whole preset runs in such a folder.
    """
    finished = Workflow(shared / "finished" / "it's my house (ü)")

    def run() -> dict[str, Any]:
        house.copy(finished.folder)
        return asdict(finished.snakemake())

    ended = Ended(**once(shared, "finished", run))
    assert ended.status == 0, ended.text
    return finished, ended


@pytest.fixture(scope="session")
def finished(whole_run: tuple[Workflow, Ended]) -> Workflow:
    """A copy in which the `ci` preset was run to the end. Not to be changed."""
    return whole_run[0]


@pytest.fixture(scope="session")
def jobs(house: Workflow, shared: Path) -> list[Job]:
    """All jobs of the `ci` preset, with their commands."""
    found = once(shared, "jobs", lambda: [asdict(job) for job in house.plan("--forceall")])
    return [Job(**job) for job in found]


@pytest.fixture(scope="session")
def papers(house: Workflow, shared: Path) -> tuple[list[Job], float]:
    """The jobs of config.yaml with a Lizard folder on four cores, and Snakemake's CPU seconds for listing them."""
    folder = shared / "lizard"
    folder.mkdir(exist_ok=True)
    lizard = f"datasets={{'lizard': {{'path': '{folder}'}}}}"

    def plan() -> list[Any]:
        planned, ended = house.planned("--config", lizard, overlays=(), cores=4, anew=True)
        return [[asdict(job) for job in planned], ended.cpu]

    found, cpu = once(shared, "papers", plan)
    return [Job(**job) for job in found], cpu


class Forks:
    """Runs stages, or Snakemake, in forks of one process: the seconds of imports are paid once."""

    def __init__(self, what: str, workflow: Workflow | None = None):
        program = str(Path(__file__).with_name("program_forks.py"))
        self._process = subprocess.Popen(
            [sys.executable, program, what],
            cwd=workflow.folder if workflow else None,
            env=workflow.environment if workflow else None,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        workflow: Workflow,
        command: list[str],
        limit: int | None = None,
        meanwhile: Callable[[int], None] | None = None,
        log: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> Ended:
        """Run a command in a workflow's folder to its end.

        ``limit``: the first write beyond so many bytes kills it. ``meanwhile(pid)`` is called while it runs. ``log``:
        the folder of what it prints, if not the workflow's. ``environment``: if not that of the process.
        """
        log, began = (log or workflow.folder) / "stage.log", time.monotonic()
        order = {"command": command, "folder": str(workflow.folder), "log": str(log), "limit": limit}
        self._process.stdin.write(json.dumps({**order, "environment": environment}) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        if meanwhile is not None:
            meanwhile(pid)
        status, cpu = self._process.stdout.readline().split()
        return Ended(int(status), log.read_text(errors="replace"), time.monotonic() - began, float(cpu))

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


@pytest.fixture(scope="session")
def forks(house: Workflow):
    """Runs stages quickly."""
    forks = Forks("stages", house)
    yield forks
    forks.close()


@functools.cache
def snakemakes() -> Forks:
    """Runs Snakemake quickly; its process ends when this one does, since nobody writes to it any more."""
    return Forks("snakemake")


@pytest.fixture
def copy(finished: Workflow, tmp_path: Path) -> Workflow:
    """A finished copy of one's own."""
    return finished.copy(tmp_path / "my house")
