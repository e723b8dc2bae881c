"""The campaigns that take too long for `make test`, and the page about their last run: `make test-long`.

    python tests/long.py [--page FILE] [TEST_FILE ...]

CELLSCAPER_KILLS, CELLSCAPER_FAULTS and CELLSCAPER_FUZZ set how often each stage is killed, each input damaged, each
reader fuzzed. The page is docs/results/test-long.md; a CSV file beside it has a line for each file of tests. Named test
files are run alone, and replace their own lines.
"""

import argparse
import csv
import datetime
import os
import subprocess
import sys
import tempfile
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

Result: **{result}**, {minutes:.0f} minutes of tests, two at a time.

| file | what it does | passed | failed | skipped | minutes | date | commit |
|---|---|---:|---:|---:|---:|---|---|
{rows}

Settings: {settings}. Machine: {machine}.
{notes}"""
OUTCOMES = ("passed", "failed", "skipped")


@dataclass(frozen=True)
class Test:
    """One test that was run."""

    file: str
    name: str
    outcome: str  # passed, failed, skipped
    seconds: float
    why: str = ""


def main() -> None:
    known = {**WORKFLOW, **UNIT, **GEODESIC}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE", help="ends in .md; the CSV lies beside it")
    parser.add_argument("files", nargs="*", metavar="TEST_FILE", help="default: all")
    args = parser.parse_args()
    if unknown := sorted(set(args.files) - set(known)):
        parser.error(f"{', '.join(unknown)}: expected of {', '.join(known)}")
    chosen, environment = args.files or list(known), {**SETTINGS, **os.environ, "OMP_NUM_THREADS": "1"}
    about = {  # as the tests begin
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit(),
        "machine": machine(),
        "settings": ", ".join(f"`{name}={environment[name]}`" for name in SETTINGS),
    }
    with tempfile.TemporaryDirectory(prefix="cellscaper-long-") as scratch:
        folder = Path(scratch)
        tests = run(chosen, WORKFLOW, folder / "workflow.xml", environment, "-n", "2", "--dist", "loadscope")
        tests += run(chosen, UNIT, folder / "unit.xml", environment, "-n", "2")
        if set(chosen) & set(GEODESIC):
            if missing := build_geodesic(folder / "geodesic", environment):
                tests += [Test(file, "the whole file", "skipped", 0, missing) for file in GEODESIC]
            else:
                path = os.pathsep.join(filter(None, [str(folder / "geodesic"), environment.get("PYTHONPATH")]))
                tests += run(chosen, GEODESIC, folder / "geodesic.xml", {**environment, "PYTHONPATH": path})
    lines = lines_of(tests, about)
    write(args.page, kept(args.page, lines) if args.files else lines)
    print(args.page.read_text(encoding="utf-8"))
    sys.exit(any(test.outcome == "failed" for test in tests))


def run(
    chosen: list[str], files: dict[str, str], report: Path, environment: dict[str, str], *options: str
) -> list[Test]:
    """Run those of some test files that are chosen; every one must have been run."""
    files = {file: what for file, what in files.items() if file in chosen}
    if not files:
        return []
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


def lines_of(tests: list[Test], about: dict[str, str]) -> list[dict[str, str]]:
    """A line for each file of tests that was run."""
    lines = []
    for file in dict.fromkeys(test.file for test in tests):
        own = [test for test in tests if test.file == file]
        count = Counter(test.outcome for test in own)
        lines.append(
            {
                "file": file,
                **{outcome: str(count[outcome]) for outcome in OUTCOMES},
                "minutes": f"{sum(test.seconds for test in own) / 60:.1f}",
                **about,
                "notes": "\n".join(
                    f"- {test.outcome}: `{test.name}` ({test.why})" for test in own if test.outcome != "passed"
                ),
            }
        )
    return lines


def kept(page: Path, lines: list[dict[str, str]]) -> list[dict[str, str]]:
    """These lines, and those of other files from the last run."""
    file = page.with_suffix(".csv")
    if not file.exists():
        return lines
    with file.open(newline="", encoding="utf-8") as text:
        return lines + [one for one in csv.DictReader(text) if one["file"] not in {line["file"] for line in lines}]


def write(page: Path, lines: list[dict[str, str]]) -> None:
    """The CSV file and the page."""
    what = {**WORKFLOW, **UNIT, **GEODESIC}
    lines = sorted((line for line in lines if line["file"] in what), key=lambda line: list(what).index(line["file"]))
    with page.with_suffix(".csv").open("w", newline="", encoding="utf-8") as text:
        table = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(lines)
    columns = (*OUTCOMES, "minutes", "date", "commit")
    rows = [f"| `{one['file']}` | {what[one['file']]} | {' | '.join(one[c] for c in columns)} |" for one in lines]
    notes = [one["notes"] for one in lines if one["notes"]]
    text = TEXT.format(
        result=", ".join(f"{sum(int(one[outcome]) for one in lines)} {outcome}" for outcome in OUTCOMES),
        minutes=sum(float(one["minutes"]) for one in lines),
        rows="\n".join(rows),
        settings="; ".join(dict.fromkeys(one["settings"] for one in lines)),
        machine="; ".join(dict.fromkeys(one["machine"] for one in lines)),
        notes="\n" + "\n".join(notes) + "\n" if notes else "",
    )
    page.write_text(text, encoding="utf-8")


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
