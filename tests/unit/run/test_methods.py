"""The methods by name: each module offers what its kind's protocol says, and the rules that run it know its code."""

import ast
import importlib
import inspect
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, get_args, get_origin

import pytest

from cellscaper.errors import CellscaperError
from cellscaper.generators.maps.engine import MapDiffusion
from cellscaper.metrics import detection, image_quality
from cellscaper.metrics.protocol import Column, all_scores
from cellscaper.plan.provenance import code
from cellscaper.run.methods import KINDS, PACKAGE, chosen, defaults_digest, method, names
from cellscaper.run.settings import Settings
from cellscaper.stages import score_detections, score_images
from cellscaper.training.settings import Training
from cellscaper.views import decoding

RULES = PACKAGE.parents[1] / "workflow" / "rules"
METHODS = [(kind, name) for kind in KINDS for name in names(kind)]
PROTOCOLS = {
    "datasets": "Reader",
    "density": "Estimator",
    "generators": "Generator",
    "features": "FeatureMethod",
    "painters": "Painter",
    "detectors": "Detector",
    "metrics": "Metric",
}
OWN_STAGES = {"detection", "image_quality", "image_copies"}  # without `score`: score_detections, score_images run them
TRAINED = ("adm", "spatial_diffusion", "topocellgen", "point_diffusion", "tmccg")
UNTRAINED = (
    "random",
    "hard_core",
    "permuted",
    "real_halves",
    "train_crops",
    "retrieval",
    "packaged_points",
    "pattern_reconstruction",
    "gibbs",
)


def protocol(kind: str) -> Any:
    return getattr(importlib.import_module(f"cellscaper.{kind}.protocol"), PROTOCOLS[kind])


def parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


# -- names -------------------------------------------------------------------------------------------------


def test_every_kind_has_methods_and_all_generators_are_known():
    assert all(names(kind) for kind in KINDS)
    assert set(names("generators")) == {*TRAINED, *UNTRAINED}


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_name_is_refused_with_the_names_there_are(kind):
    for choose in (lambda: method(kind, "gan"), lambda: chosen(kind, {"method": "gan", "settings": {}})):
        with pytest.raises(CellscaperError, match=f"'gan' is no method of {kind}; there are .*{names(kind)[-1]}"):
            choose()


def test_a_default_that_planning_does_not_know_stops_the_stage(monkeypatch):
    """Planning fills in the schema's defaults, so an edited default would else be ignored without a word."""
    module = method("generators", "hard_core")

    class Edited(Settings):
        min_distance: float = 99.0

    for other in (Edited, Settings):
        monkeypatch.setattr(module, "Settings", other)
        for choose in (
            lambda: method("generators", "hard_core"),
            lambda: chosen("generators", {"method": "hard_core"}),
        ):
            with pytest.raises(CellscaperError, match=r"generators/hard_core.py differ .* run `make schema`"):
                choose()


@pytest.mark.parametrize(
    ("kind", "name", "fact", "edited"),
    [
        ("metrics", "counts", "COLUMNS", {"cce": Column("other")}),
        ("metrics", "image_quality", "OF", "layouts"),
        ("metrics", "spatial_fid", "CAVEAT", "none"),
        ("generators", "hard_core", "DECODERS", ("components",)),
        ("generators", "topocellgen", "BEGINS", None),
        ("generators", "adm", "TRAINING", Training(steps=1, lr=1.0)),
        ("features", "autoencoder", "SCORE", "fid"),
        ("features", "resnet50", "LABEL", "FID"),
    ],
)
def test_a_fact_that_planning_does_not_know_stops_the_stage(kind, name, fact, edited, monkeypatch):
    module = method(kind, name)
    monkeypatch.setattr(module, fact, edited)
    with pytest.raises(CellscaperError, match=rf"{kind}/{name}.py differ .* run `make schema`"):
        method(kind, name)


def test_a_default_of_a_block_that_there_is_not_by_default_counts(monkeypatch):
    """Planning fills in the block's defaults where an experiment has it."""

    class Block(Settings):
        size: int = 1

    class Outer(Settings):
        block: Block | None = None

    module = SimpleNamespace(Settings=Outer)
    before = defaults_digest(module)
    assert defaults_digest(module) == before
    monkeypatch.setattr(Block.model_fields["size"], "default", 2)
    assert defaults_digest(module) != before


@pytest.mark.parametrize(
    ("stage", "module"),
    [(score_images, image_quality), (score_images, detection), (score_detections, detection)],
    ids=["score_images image_quality", "score_images detection", "score_detections detection"],
)
def test_stages_of_metrics_that_nothing_chooses_check_them_too(stage, module, monkeypatch):
    given = SimpleNamespace(config={"radius": 6, "real": None})
    monkeypatch.setattr(stage.stage, "arguments", lambda *_, **__: given)
    monkeypatch.setattr(module, "OF", "layouts")
    with pytest.raises(CellscaperError, match=rf"/{module.__name__.split('.')[-1]}.py differ .* run `make schema`"):
        stage.main()


def test_a_metric_must_return_the_scores_that_it_promises():
    columns, scores = ("ratio", "other"), {"ratios": {"mean": 1.0}, "other": {"mean": 2.0}}
    misspelt: Any = SimpleNamespace(COLUMNS={name: Column(name) for name in columns}, score=lambda *_: scores)
    with pytest.raises(
        CellscaperError, match=r"metrics/mine.py: COLUMNS has ratio, and `score` returned ratios, other"
    ):
        all_scores("mine", misspelt, None, None)


def test_a_helper_module_is_no_method():
    with pytest.raises(CellscaperError, match="'protocol' is no method of generators"):
        method("generators", "protocol")


def test_chosen_gives_the_module_and_its_settings():
    module, settings = chosen("density", {"method": "kde", "settings": {"regularise": 2.0}})
    assert module is method("density", "kde")
    assert settings == module.Settings(regularise=2.0)
    with pytest.raises(CellscaperError, match="^density kde.bandwidth = 'wide': expected scott or a factor above 0"):
        chosen("density", {"method": "kde", "settings": {"bandwidth": "wide"}})


# -- what a module offers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "name"), METHODS)
def test_a_method_offers_what_the_protocol_of_its_kind_says(kind, name):
    module, wanted = method(kind, name), protocol(kind)
    functions = {key: value for key, value in vars(wanted).items() if inspect.isfunction(value) and key[0] != "_"}
    if kind in ("generators", "painters") and not hasattr(module, "prepare"):
        del functions["prepare"]
    if kind == "metrics" and name in OWN_STAGES:
        del functions["score"]
    for key, function in functions.items():
        assert parameters(getattr(module, key)) == parameters(function), key
    for key in wanted.__annotations__:
        assert hasattr(module, key), key


def nested(annotation: Any) -> list[type[Settings]]:
    if inspect.isclass(annotation) and issubclass(annotation, Settings):
        return [annotation]
    return [model for part in get_args(annotation) for model in nested(part)]


def undescribed(model: type[Settings], where: str) -> list[str]:
    """Fields without a description. A block, and what chooses it (``kind``), may have that of its class instead."""
    found = [] if model.__doc__ else [where]
    for name, field in model.model_fields.items():
        inner = nested(field.annotation)
        if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1:
            continue
        found += [] if field.description or inner else [f"{where}.{name}"]
        found += [missing for one in inner for missing in undescribed(one, f"{where}.{name}")]
    return found


@pytest.mark.parametrize(("kind", "name"), METHODS)
def test_every_setting_is_described(kind, name):
    module = method(kind, name)
    for block in ("Settings", "Sampling") if hasattr(module, "prepare") else ("Settings",):
        settings = getattr(module, block)
        assert issubclass(settings, Settings)
        assert settings.__module__ == module.__name__
        assert settings.model_config["frozen"] and settings.model_config["extra"] == "forbid"
        assert not undescribed(settings, block)


@pytest.mark.parametrize("name", names("generators"))
def test_generators_name_their_decoders(name):
    decoders = method("generators", name).DECODERS
    assert decoders == ("points",) or set(decoders) == set(decoding.DECODERS)


@pytest.mark.parametrize("name", TRAINED)
def test_trained_generators_prepare_a_training_and_are_sampled(name):
    module = method("generators", name)
    assert callable(module.prepare)
    assert callable(module.generate)
    assert isinstance(module.TRAINING, Training)
    assert issubclass(module.Sampling, Settings)


@pytest.mark.parametrize("name", ["adm", "spatial_diffusion", "topocellgen"])
def test_map_generators_keep_their_own_functions(name):
    system = method("generators", name).SYSTEM
    assert isinstance(system, MapDiffusion)
    assert system.channels.__module__ == f"cellscaper.generators.{name}"


@pytest.mark.parametrize("name", UNTRAINED)
def test_untrained_generators_place_points_without_a_training(name):
    module = method("generators", name)
    assert module.__name__ == f"cellscaper.generators.{name}"
    assert callable(module.generate)
    assert not hasattr(module, "prepare") and not hasattr(module, "TRAINING")
    assert module.DECODERS == ("points",)


@pytest.mark.parametrize("name", names("painters"))
def test_trained_painters_are_sampled(name):
    module = method("painters", name)
    assert hasattr(module, "prepare") == hasattr(module, "Sampling")
    assert not hasattr(module, "prepare") or nested(module.Settings.model_fields["training"].annotation) == [Training]


@pytest.mark.parametrize(("kind", "wanted"), [("features", "FeatureSettings"), ("detectors", "DetectorSettings")])
def test_settings_have_what_all_methods_of_their_kind_share(kind, wanted):
    shared = getattr(importlib.import_module(f"cellscaper.{kind}.protocol"), wanted)
    keys = {key for key, value in vars(shared).items() if isinstance(value, property)}
    assert keys
    for name in names(kind):
        assert keys <= set(method(kind, name).Settings.model_fields), name


def test_scores_have_a_label_and_belong_to_one_method():
    found: list[str] = []
    for name in names("metrics"):
        columns = method("metrics", name).COLUMNS
        assert all(isinstance(column, Column) and column.label for column in columns.values())
        found += columns
    for name in names("features"):
        module = method("features", name)
        assert module.LABEL
        found.append(module.SCORE)
    assert len(found) == len(set(found)) > 10


# -- the rules that run methods ----------------------------------------------------------------------------


def kinds_called(module: str) -> set[str]:
    """Kinds of the methods that a module chooses by ``method(kind, …)`` or ``chosen(kind, …)``."""
    path = PACKAGE.parent.joinpath(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    calls = [node for node in ast.walk(ast.parse(source.read_bytes())) if isinstance(node, ast.Call)]
    calls = [node for node in calls if isinstance(node.func, ast.Name) and node.func.id in ("method", "chosen")]
    return {node.args[0].value for node in calls if isinstance(node.args[0], ast.Constant)}


def kinds_run(stage: str) -> set[str]:
    """Kinds of the methods that a stage chooses, itself or through what it calls."""
    found: set[str] = set()
    new = kinds_called(f"cellscaper.stages.{stage}")
    while new:
        found |= new
        methods = [f"cellscaper.{kind}.{name}" for kind in new for name in names(kind)]
        modules = {key.removeprefix("code_") for key in code(*methods)}
        new = {kind for one in modules for kind in kinds_called(spelled(one))} - found
    return found


def spelled(module: str) -> str:
    """A module's name from its underscored one in a param."""
    return next(one for one in MODULES if one.replace(".", "_") == module)


MODULES = [
    ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for file in PACKAGE.rglob("*.py")
]
STAGES = sorted(file.stem for file in PACKAGE.joinpath("stages").glob("*.py") if file.stem != "__init__")


def rules() -> tuple[dict[str, str], dict[str, str]]:
    """Text of all rules and of all functions of the workflow, by name."""
    blocks: dict[str, dict[str, str]] = {"rule": {}, "def": {}}
    for file in sorted(Path(RULES).glob("*.smk")):
        for text in re.split(r"^(?=\S)", file.read_text(encoding="utf-8"), flags=re.M):
            if start := re.match(r"(rule|def) (\w+)", text):
                blocks[start[1]][start[2]] = text
    return blocks["rule"], blocks["def"]


def fingerprinted(stage: str) -> set[str]:
    """Kinds whose methods' fingerprints stand among the params of the rule of a stage, as ``method=``."""
    texts, functions = rules()
    params = texts[stage].split("    params:\n")[1].split("    shell:\n")[0]
    value = params.split("        method=", 1)[1] if "        method=" in params else ""
    value = re.split(r"^        (?=\w+=)", value, flags=re.M)[0]
    used = [name for name in functions if name != "method_code" and re.search(rf"\b{name}\b", value)]
    assert not used or f'("{stage}")' in value or all("(w)" in functions[name] for name in used), stage
    text = value + "".join(functions[name] for name in used)
    calls = re.findall(r'method_code\(\s*(?:"(\w+)"|stage),\s*"(\w+)"', text)
    assert all(named in ("", stage) for named, _ in calls), stage
    return {kind for _, kind in calls}


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_rule_has_the_fingerprints_of_the_methods_that_its_stage_chooses(stage):
    assert fingerprinted(stage) == kinds_run(stage)


@pytest.mark.slow
def test_stages_that_choose_methods_are_found():
    assert kinds_run("start_layout") == kinds_run("train_layout") == kinds_run("sample_layouts") == {"generators"}
    assert kinds_run("score_layouts") == {"metrics", "features"}
    assert kinds_run("make_tables") == set()
