"""The crate of a run: what is named is described and there, and the profile's own validator accepts it."""

import json
from pathlib import Path

import pytest

from cellscaper.report.pages.crate import PROFILES, Run, crate

pytestmark = pytest.mark.slow  # the validator loads its profiles

WHY = "the extra oracles is not installed"
OF_1_1 = {  # terms of RO-Crate 1.1 that have another address in 1.3, the context that the package rocrate holds
    "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
    "FormalParameter": "https://bioschemas.org/FormalParameter",
    "input": "https://bioschemas.org/ComputationalWorkflow#input",
    "output": "https://bioschemas.org/ComputationalWorkflow#output",
}
NOT_KNOWN = (  # what the profile recommends and the workflow does not know: people, and addresses of the software
    "agent", "author", "publisher", "Application SHOULD have a url", "id SHOULD be an absolute URI", "README",
)  # fmt: skip


@pytest.fixture
def graph(run, made):
    """The entities of the crate of the run, by id."""
    folder, _, _ = run
    for name in ("report.html", "crate/Snakefile", "crate/config.yaml", "toy/tables/t.csv", "toy/my figure.png",
                 "toy/fetch_dataset/manifest.json"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name, encoding="utf-8")
    text = crate(
        Run(
            folder,
            {"toy": "phantom"},
            {"report.html": "report.html"},
            "crate/Snakefile",
            "crate/config.yaml",
            "report.html",
            ["toy/tables/t.csv"],
            ["toy/my figure.png"],
            ["c0ffee"],
            "0.1.0",
            made,
        )
    )
    (folder / "ro-crate-metadata.json").write_text(text, encoding="utf-8")
    return {entity["@id"]: entity for entity in json.loads(text)["@graph"]}


def ids(value):
    return [one["@id"] for one in (value if isinstance(value, list) else [value])]


def test_every_entity_that_is_named_is_described_and_every_file_is_there(graph, run):
    named = {
        one for entity in graph.values() for key in ("hasPart", "object", "result", "isBasedOn", "input", "output",
        "mainEntity", "mentions", "instrument", "exampleOfWork", "programmingLanguage", "license") if key in entity
        for one in ids(entity[key])
    }  # fmt: skip
    assert named <= set(graph)
    files = [entity for entity in graph.values() if "File" in entity["@type"]]
    assert all((run[0] / entity.get("name", entity["@id"])).exists() or entity["@id"] == "crate/Snakefile"
               for entity in files)  # fmt: skip
    assert set(ids(graph["./"]["hasPart"])) == {entity["@id"] for entity in files}
    assert "toy/my%20figure.png" in graph


def test_the_way_from_a_table_to_layouts_is_in_the_crate(graph):
    scores = [f"toy/score_layouts/shared/points/seed{seed}/scores.csv" for seed in (0, 1)]
    assert ids(graph["toy/tables/t.csv"]["isBasedOn"]) == scores
    assert ids(graph[scores[1]]["isBasedOn"]) == ["toy/sample_layouts/shared/points/seed1/layouts.h5"]
    assert graph["toy/sample_layouts/shared/points/seed1/layouts.h5"]["version"].startswith("c0ffee")
    assert graph["#run"]["@type"] == "CreateAction" and ids(graph["#run"]["instrument"]) == ["crate/Snakefile"]
    assert "report.html" in ids(graph["#run"]["result"]) and "crate/config.yaml" in ids(graph["#run"]["object"])
    assert ids(graph["./"]["conformsTo"]) == PROFILES


def test_the_package_rocrate_reads_the_crate(graph, run):
    rocrate = pytest.importorskip("rocrate.rocrate", reason="the extra oracles is not installed")
    found = rocrate.ROCrate(run[0])
    assert found.mainEntity.id == "crate/Snakefile" and found.root_dataset["name"] == "cellscaper: toy"
    (action,) = (one for one in found.get_entities() if one.type == "CreateAction")
    assert {one.id for one in action["result"]} >= {"report.html", "toy/tables/t.csv"}
    assert len(found.data_entities) == len(ids(graph["./"]["hasPart"]))


@pytest.fixture
def validated(graph, run, monkeypatch):
    """What the validator of the profile finds in the crate: (severity, message). It asks the network for nothing."""
    requests = pytest.importorskip("requests")
    package = pytest.importorskip("rocrate", reason=WHY)
    services = pytest.importorskip("rocrate_validator.services", reason=WHY)
    http = pytest.importorskip("rocrate_validator.utils.http", reason=WHY)
    models = pytest.importorskip("rocrate_validator.models", reason=WHY)
    context = json.loads((Path(package.__file__).parent / "data/ro-crate.jsonld").read_text(encoding="utf-8"))
    context["@context"] |= OF_1_1

    def get(_, url, **__):
        found = requests.Response()
        found.status_code = 200 if url == "https://w3id.org/ro/crate/1.1/context" else 404
        found._content, found.url = json.dumps(context).encode(), url
        found.headers["Content-Type"] = "application/ld+json"
        return found

    for name in ("get", "head", "fetch_fresh"):
        monkeypatch.setattr(http.HttpRequester, name, get, raising=False)

    def validate():
        settings = {"rocrate_uri": str(run[0]), "profile_identifier": "workflow-run-crate-0.5"}
        found = services.validate({**settings, "requirement_severity": models.Severity.RECOMMENDED})
        return [(issue.severity.name, issue.message) for issue in found.get_issues()]

    return validate


def test_the_profile_accepts_the_crate(validated):
    found = validated()
    assert [message for severity, message in found if severity == "REQUIRED"] == []
    assert [message for _, message in found if not any(one in message for one in NOT_KNOWN)] == []


def test_the_profile_refuses_a_crate_without_its_workflow(validated, run):
    file = run[0] / "ro-crate-metadata.json"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"ComputationalWorkflow"', '"Thing"'), encoding="utf-8")
    assert any(severity == "REQUIRED" for severity, _ in validated())
