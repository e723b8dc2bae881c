"""A copy of the repository in which the `ci` preset was run to the end, once for all tests of the workflow."""

import json
import math
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "config.yaml", "workflow", "src", "envs")
CI = "workflow/presets/ci.yaml"
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
        self.environment = {**kept, "PATH": own, "PYTHONPATH": str(folder / "src"), "PYTHONUNBUFFERED": "1"}

    def copy(self, folder: Path) -> "Workflow":
        """The same in another folder, times of files included."""
        shutil.copytree(self.folder, folder)
        return Workflow(folder)

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

    def command(self, *arguments: str, overlays: tuple[str, ...] = (CI,), cores: int = 2) -> list[str]:
        """The Snakemake command line, as the Makefile has it."""
        configs = ["--configfile", *overlays] if overlays else []
        profile = ["--workflow-profile", "workflow/profiles/local", "--cores", str(cores)]
        return [sys.executable, "-m", "snakemake", *profile, *arguments, *configs]

    def snakemake(self, *arguments: str, overlays: tuple[str, ...] = (CI,), cores: int = 2) -> Ended:
        """Run Snakemake here."""
        return self.run(self.command(*arguments, overlays=overlays, cores=cores))

    def plan(self, *arguments: str, overlays: tuple[str, ...] = (CI,), cores: int = 2) -> list[Job]:
        """The jobs of a dry run, without `all`."""
        ended = self.snakemake("--dry-run", "--printshellcmds", *arguments, overlays=overlays, cores=cores)
        assert ended.status == 0, ended.text
        jobs: list[Job] = []
        for line in ended.text.splitlines():
            if found := _JOB.fullmatch(line):
                jobs.append(Job(found[1]))
            elif jobs and (found := _ENTRY.fullmatch(line)):
                jobs[-1].entries[found[1]] = found[2]
            elif jobs and line.startswith("Shell command: "):
                jobs[-1].shell.append(line.removeprefix("Shell command: "))
        listed = re.search(r"^total +(\d+)$", ended.text, re.MULTILINE)
        assert len(jobs) == (int(listed[1]) if listed else 0), ended.text  # the parser missed none
        return [job for job in jobs if job.rule != "all"]

    def overlay(self, name: str, text: str) -> tuple[str, str]:
        """The `ci` preset with a config of one's own over it."""
        (self.folder / name).write_text(text, encoding="utf-8")
        return CI, name


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """A copy of the repository in which nothing was run."""
    folder = tmp_path_factory.mktemp("house")
    for part in PARTS:
        if (REPOSITORY / part).is_dir():
            shutil.copytree(
                REPOSITORY / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        else:
            shutil.copy2(REPOSITORY / part, folder / part)
    return Workflow(folder)


@pytest.fixture(scope="session")
def whole_run(house: Workflow, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workflow, Ended]:
    """A copy in which the `ci` preset was run to the end, and how that went. Not to be changed."""
    finished = house.copy(tmp_path_factory.mktemp("finished") / "house")
    ended = finished.snakemake()
    assert ended.status == 0, ended.text
    return finished, ended


@pytest.fixture(scope="session")
def finished(whole_run: tuple[Workflow, Ended]) -> Workflow:
    """A copy in which the `ci` preset was run to the end. Not to be changed."""
    return whole_run[0]


@pytest.fixture(scope="session")
def jobs(finished: Workflow) -> list[Job]:
    """All jobs of the `ci` preset, with their commands."""
    return finished.plan("--forceall")


class Forks:
    """Runs stages in forks of one process: the seconds of imports are paid once."""

    def __init__(self, workflow: Workflow):
        program = str(Path(__file__).with_name("stage_forks.py"))
        self._process = subprocess.Popen(
            [sys.executable, program],
            cwd=workflow.folder,
            env=workflow.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, workflow: Workflow, command: list[str], limit: int | None = None, meanwhile=None) -> Ended:
        """Run a stage's command in a workflow's folder to its end.

        ``limit``: the first write beyond so many bytes kills it. ``meanwhile(pid)`` is called while it runs.
        """
        log, began = workflow.folder / "stage.log", time.monotonic()
        order = {"command": command, "folder": str(workflow.folder), "log": str(log), "limit": limit}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        if meanwhile is not None:
            meanwhile(pid)
        status = int(self._process.stdout.readline())
        return Ended(status, log.read_text(errors="replace"), time.monotonic() - began, math.nan)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


@pytest.fixture(scope="session")
def forks(finished: Workflow):
    """Runs stages quickly."""
    forks = Forks(finished)
    yield forks
    forks.close()


@pytest.fixture
def copy(finished: Workflow, tmp_path: Path) -> Workflow:
    """A finished copy of one's own."""
    return finished.copy(tmp_path / "house")
