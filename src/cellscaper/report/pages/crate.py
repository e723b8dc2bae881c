"""The run as a Workflow Run RO-Crate: ro-crate-metadata.json beside the report says what is there and what made it.

Profiles: Workflow Run Crate 0.5, Process Run Crate 0.5, Workflow RO-Crate 1.0 (w3id.org/ro/wfrun). The file is JSON-LD
that is written here without a package: it lists files that lie there already, and the same files give the same text.
"""

import hashlib
import json
import mimetypes
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cellscaper.disk.files import checksum
from cellscaper.report.pages.origins import Panel

Entity = dict[str, Any]
TERMS = "https://w3id.org/ro/"
CONTEXT = [f"{TERMS}crate/1.1/context", {"sha256": f"{TERMS}terms/workflow-run#sha256"}]
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
BIOSCHEMAS = "https://bioschemas.org/profiles/"
PROFILES = [f"{TERMS}wfrun/process/0.5", f"{TERMS}wfrun/workflow/0.5", WORKFLOW_CRATE]
LICENCES = {
    "phantom": ("https://spdx.org/licenses/MIT", "MIT"),
    "brca_m2c": ("https://spdx.org/licenses/BSD-3-Clause", "BSD-3-Clause"),
    "lizard": ("https://creativecommons.org/licenses/by-nc-sa/4.0/", "CC BY-NC-SA 4.0"),
}  # of the data sets, by reader; results stand under the terms of their data
CODE_LICENCE = LICENCES["phantom"]
UNKNOWN = ("#licence-of-the-data", "the licence of the user's own data, not known to the workflow")
FORMATS = {".h5": "application/x-hdf5", ".safetensors": "application/octet-stream", ".md": "text/markdown",
           ".tsv": "text/tab-separated-values", ".log": "text/plain", ".tex": "text/x-tex",
           ".yaml": "application/yaml"}  # fmt: skip
SUMMED = 1_000_000  # bytes: larger files carry checksums of their own


@dataclass(frozen=True)
class Run:
    """The files of a finished run, relative to its folder ``results``, and what the crate says of it.

    ``texts`` holds the files that are not written yet.
    """

    results: Path
    datasets: Mapping[str, str]  # name → reader
    texts: Mapping[str, str]
    workflow: str
    configuration: str
    report: str
    tables: Sequence[str]
    others: Sequence[str]  # figures, galleries, notes
    commits: Sequence[str]
    version: str
    origins: Sequence[Panel] = field(default_factory=list)

    @property
    def manifests(self) -> list[str]:
        """Names and checksums of the files of each data set."""
        named = [f"{name}/fetch_dataset/manifest.json" for name in self.datasets]
        return [name for name in named if (self.results / name).exists()]


def crate(run: Run) -> str:
    """The text of ro-crate-metadata.json."""
    based = _based_on(run)
    logs = {job.log for one in run.origins for job in one.jobs if job.log}
    jobs = {job.file for one in run.origins for job in one.jobs if (run.results / job.file).is_file()}
    commits = {job.file: job.commit for one in run.origins for job in one.jobs if job.commit}
    results, inputs = sorted({run.report, *run.tables, *run.others, *jobs}), [run.configuration, *run.manifests]
    parts = [*results, *inputs, *sorted(logs)]
    ended = _newest(run.results, [*run.tables, *jobs] or run.manifests)
    licences = dict.fromkeys(LICENCES.get(reader, UNKNOWN) for reader in run.datasets.values())
    graph = [
        _described("ro-crate-metadata.json", "metadata")
        | {"about": {"@id": "./"}, "conformsTo": [{"@id": f"{TERMS}crate/1.1"}, {"@id": WORKFLOW_CRATE}]},
        _root(run, parts, ended, [one for one, _ in licences]),
        *_workflow(run),
        _action(run, inputs, results, ended),
        *(_file(run, name, based.get(name), commits.get(name)) | _example(run, name) for name in parts),
        *(_described(*one) for one in dict.fromkeys([*licences, CODE_LICENCE])),
        *(_described(one, " ".join(one.split("/")[-2:])) | {"version": one.split("/")[-1]} for one in PROFILES),
    ]
    return json.dumps({"@context": CONTEXT, "@graph": graph}, indent=1, ensure_ascii=False) + "\n"


def _described(name: str, title: str) -> Entity:
    return {"@id": name, "@type": "CreativeWork", "name": title}


def _root(run: Run, parts: Sequence[str], ended: str, licences: Sequence[str]) -> Entity:
    names = ", ".join(run.datasets)
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"cellscaper: {names}",
        "description": f"Cell layouts, H&E images and detectors on {names}: tables, figures and the files behind them.",
        "datePublished": ended,
        "license": [{"@id": one} for one in licences] if len(licences) > 1 else {"@id": licences[0]},
        "conformsTo": [{"@id": one} for one in PROFILES],
        "mainEntity": {"@id": quote(run.workflow)},
        "mentions": {"@id": "#run"},
        "hasPart": [{"@id": quote(name)} for name in (run.workflow, *parts)],
    }


def _action(run: Run, inputs: Sequence[str], results: Sequence[str], ended: str) -> Entity:
    return {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"Run of cellscaper on {', '.join(run.datasets)}",
        "description": "Snakemake made the tables, figures and pages from the configuration and the data sets.",
        "instrument": {"@id": quote(run.workflow)},
        "object": _ids(inputs),
        "result": _ids(results),
        "endTime": ended,
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }


def _workflow(run: Run) -> list[Entity]:
    """The Snakefile, its language, its parameters, the program that runs it."""
    return [
        {
            "@id": quote(run.workflow),
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
            "name": "cellscaper",
            "description": "The Snakefile; it includes workflow/rules of the repository at the commit.",
            "encodingFormat": "text/plain",
            "conformsTo": {"@id": f"{BIOSCHEMAS}ComputationalWorkflow/1.0-RELEASE"},
            "programmingLanguage": {"@id": "#snakemake"},
            "version": ", ".join(run.commits) or run.version,
            "softwareRequirements": f"cellscaper {run.version}",
            "license": {"@id": CODE_LICENCE[0]},
            "input": _ids(["#configuration", *(["#data"] if run.manifests else [])]),
            "output": _ids(["#report", *(["#tables"] if run.tables else [])]),
        },
        {
            "@id": "#snakemake",
            "@type": "ComputerLanguage",
            "name": "Snakemake",
            "identifier": {"@id": "https://snakemake.github.io"},
            "url": {"@id": "https://snakemake.github.io"},
        },
        *(_parameter(name, about) for name, (about, files) in _parameters(run).items() if files),
    ]


def _parameters(run: Run) -> dict[str, tuple[str, Sequence[str]]]:
    """{id: (what it is, files of this run)}"""
    return {
        "#configuration": ("the configuration with all defaults", [run.configuration]),
        "#data": ("names and checksums of the data set's files", run.manifests),
        "#report": ("every table, every figure, and how they were made", [run.report]),
        "#tables": ("the tables in long form", run.tables),
    }


def _parameter(name: str, description: str) -> Entity:
    return {
        "@id": name,
        "@type": "FormalParameter",
        "name": name.lstrip("#"),
        "description": description,
        "additionalType": "File",
        "conformsTo": {"@id": f"{BIOSCHEMAS}FormalParameter/1.0-RELEASE"},
    }


def _example(run: Run, name: str) -> Entity:
    found = [one for one, (_, files) in _parameters(run).items() if name in files]
    return {"exampleOfWork": {"@id": found[0]}} if found else {}


def _file(run: Run, name: str, based: Iterable[str] | None, commit: str | None) -> Entity:
    path = run.results / name
    kind = FORMATS.get(path.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    if name in run.texts:
        raw = run.texts[name].encode()
        size, digest = len(raw), hashlib.sha256(raw).hexdigest()
    else:
        size = path.stat().st_size
        digest = checksum(path) if size <= SUMMED else ""
    entity = {"@id": quote(name), "@type": "File", "name": name, "encodingFormat": kind, "contentSize": str(size)}
    more = {"sha256": digest, "version": commit, "isBasedOn": _ids(sorted(based)) if based else None}
    return entity | {key: value for key, value in more.items() if value}


def _based_on(run: Run) -> dict[str, set[str]]:
    """{file: files that it was made from}: tables from scores, scores from the layouts, images or cells before them."""
    found: dict[str, set[str]] = {}
    for panel in run.origins:
        table = next((name for name in run.tables if panel.back.startswith(_prefix(name))), None)
        made: dict[int, str] = {}
        for job in panel.jobs:
            if not (run.results / job.file).is_file():
                continue
            if job.rule.startswith("score_"):
                found.setdefault(job.file, set()).update({made[job.seed]} if job.seed in made else ())
                if table:
                    found.setdefault(table, set()).add(job.file)
            elif not job.rule.startswith(("train_", "start_", "fit_", "select_")):
                made[job.seed] = job.file
    return found


def _prefix(table: str) -> str:
    """How the ids of a table's rows begin, by its path ``<dataset>/tables/<table>.csv``."""
    parts = Path(table).parts
    return f"row-{parts[0]}-{Path(table).stem}-"


def _ids(names: Sequence[str]) -> Any:
    """References to entities: a list, or one reference where there is one."""
    found = [{"@id": name if name.startswith("#") else quote(name)} for name in names]
    return found if len(found) != 1 else found[0]


def _newest(results: Path, names: Iterable[str]) -> str:
    """The time at which the newest of these files was written, UTC: the same for the same files."""
    newest = max(int((results / name).stat().st_mtime) for name in names)
    return datetime.fromtimestamp(newest, UTC).isoformat()
