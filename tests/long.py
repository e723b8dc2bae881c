"""The campaigns that take too long for `make test`, and the page about their last run: `make test-long`.

CELLSCAPER_KILLS, CELLSCAPER_FAULTS and CELLSCAPER_FUZZ set how often each stage is killed, each input damaged, each
reader fuzzed. The page is docs/results/test-long.md, or the file that is named on the command line.
"""

import datetime
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs" / "results" / "test-long.md"
SETTINGS = {"CELLSCAPER_LONG": "1", "CELLSCAPER_KILLS": "3", "CELLSCAPER_FAULTS": "3", "CELLSCAPER_FUZZ": "1000"}
WORKFLOW = {
    "tests/workflow/test_kill.py": "every stage killed at random moments and in the middle of a write; every training "
    "killed, stopped, on two processes",
    "tests/workflow/test_faults.py": "every stage on full and read-only disks, and with each kind of input damaged",
    "tests/workflow/slurm/test_slurm.py": "the whole `ci` run through the test cluster",
    "tests/workflow/slurm/test_large_set.py": "ten thousand layouts in fifty parts, through the test cluster",
    "tests/workflow/test_sets.py": "sets in one and three parts, of layouts that are drawn and that are denoised",
    "tests/workflow/test_new_methods.py": "a new method of each kind alone, and a changed setting of each",
    "tests/real/test_density.py": "all training maps of BRCA-M2C by all density estimators",
    "tests/workflow/test_any_path.py": "the whole `ci` run in folders with blanks, quotes and umlauts",
    "tests/workflow/test_generator_page.py": "20 layouts in Chromium against those of the command line",
}
UNIT = {
    "tests/unit/fuzz/test_fuzz.py": "every reader with files broken at random",
    "tests/unit/envelopes/test_spatstat.py": "statistics and envelopes against R's spatstat and GET, where R has them",
    "tests/unit/commands/test_generate.py": "layouts in one, two, three and seven parts against the whole",
    "tests/unit/commands/test_generate_system.py": "the same of maps, and the memory of 960 layouts",
    "tests/unit/plan/test_flops.py": "FLOPs by formula against torch's counter, for every kind of network",
    "tests/unit/fuzz/test_fuzz_readers.py": "readers of other programs' files, five times as many: no cell is lost",
}
GEODESIC = {"tests/unit/topology/test_distance.py": "FastGeodis built as README says, and its distances against ours"}
TEXT = """# The last long test run

`make test-long` wrote this page. It runs the campaigns whose short forms are part of `make test`.

- Date: {date}; commit `{commit}`
- Machine: {machine}
- Settings: {settings}
- Result: **{result}**, {minutes:.0f} minutes

| file | what it does | passed | failed | skipped | minutes of tests |
|---|---|---:|---:|---:|---:|
{rows}
{notes}"""


@dataclass(frozen=True)
class Test:
    """One test that was run."""

    file: str
    name: str
    outcome: str  # passed, failed, skipped
    seconds: float
    why: str = ""


def main() -> None:
    began, environment = time.monotonic(), {**SETTINGS, **os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory(prefix="cellscaper-long-") as scratch:
        folder = Path(scratch)
        tests = run(WORKFLOW, folder / "workflow.xml", environment, "-n", "2", "--dist", "loadscope")
        tests += run(UNIT, folder / "unit.xml", environment, "-n", "2")
        missing = build_geodesic(folder / "geodesic", environment)
        path = os.pathsep.join(filter(None, [str(folder / "geodesic"), environment.get("PYTHONPATH")]))
        if not missing:
            tests += run(GEODESIC, folder / "geodesic.xml", {**environment, "PYTHONPATH": path})
    page = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    page.write_text(written(tests, environment, time.monotonic() - began, missing), encoding="utf-8")
    print(page.read_text(encoding="utf-8"))
    sys.exit(any(test.outcome == "failed" for test in tests))


def run(files: dict[str, str], report: Path, environment: dict[str, str], *options: str) -> list[Test]:
    """Run test files; every one must have been run."""
    command = [sys.executable, "-m", "pytest", "-q", *options, f"--junit-xml={report}", "-o", "junit_family=xunit1"]
    subprocess.run([*command, *files], cwd=REPOSITORY, env=environment, check=False)
    if not report.exists():
        sys.exit(f"pytest wrote no report about {', '.join(files)}")
    tests = [read(case) for case in ElementTree.parse(report).iter("testcase")]
    for file in files.keys() - {test.file for test in tests}:
        tests.append(Test(file, "the whole file", "failed", 0, "no test of it was run"))
    return tests


def read(case: ElementTree.Element) -> Test:
    """A test of a report of pytest."""
    bad = [one for one in case if one.tag in ("failure", "error")]
    skipped = case.find("skipped")
    outcome = "failed" if bad else "skipped" if skipped is not None else "passed"
    reason = bad[0].get("message", "") if bad else skipped.get("message", "") if skipped is not None else ""
    file = case.get("file") or case.get("classname", "").replace(".", "/") + ".py"
    return Test(file, case.get("name", ""), outcome, float(case.get("time", 0)), " ".join(reason.split())[:200])


def build_geodesic(folder: Path, environment: dict[str, str]) -> str:
    """Build FastGeodis, which has no wheels, in a folder of its own; why not, where that fails."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", str(folder)]
    tools = subprocess.run([*pip, "setuptools<81", "wheel"], env=environment)
    command = [*pip, "--no-build-isolation", "--no-deps", "FastGeodis==1.0.5"]
    if tools.returncode or subprocess.run(command, env={**environment, "PYTHONPATH": str(folder)}).returncode:
        return "FastGeodis could not be built here, so the test of its backend was not run."
    return ""


def written(tests: list[Test], environment: dict[str, str], seconds: float, missing: str) -> str:
    """The page."""
    outcomes = Counter(test.outcome for test in tests)
    rows = []
    for file, what in {**WORKFLOW, **UNIT, **GEODESIC}.items():
        own = [test for test in tests if test.file == file]
        if own:
            count, spent = Counter(test.outcome for test in own), sum(test.seconds for test in own) / 60
            numbers = f"{count['passed']} | {count['failed']} | {count['skipped']} | {spent:.1f}"
            rows.append(f"| `{file}` | {what} | {numbers} |")
    told = [test for test in tests if test.outcome != "passed"]
    notes = [f"- {test.outcome}: `{test.name}` ({test.why})" for test in told] + ([f"- {missing}"] if missing else [])
    return TEXT.format(
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        commit=commit(),
        machine=machine(),
        settings=", ".join(f"`{name}={environment[name]}`" for name in SETTINGS),
        result=", ".join(f"{outcomes[one]} {one}" for one in ("passed", "failed", "skipped")),
        minutes=seconds / 60,
        rows="\n".join(rows),
        notes="\n" + "\n".join(notes) + "\n" if notes else "",
    )


def commit() -> str:
    """The commit, and whether files differ from it."""
    git = ["git", "-C", str(REPOSITORY)]
    head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True).stdout.strip()
    return (head.stdout.strip() or "unknown") + (" and changes" if changed else "")


def machine() -> str:
    """Cores and processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} cores, {names[0] if names else 'unknown processor'}"


if __name__ == "__main__":
    main()
