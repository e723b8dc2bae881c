"""Write the schema of the configuration and the facts that planning reads, from the Settings of every method.

python workflow/schemas/generate.py       # part of `make schema`; a test fails where the committed files differ

config.schema.json   what config.yaml may hold, with defaults and descriptions
methods.json         what planning must know of methods without importing them: trained or not, decoders, columns,
                     the generator that a training begins as; digests of their defaults and facts and of the other
                     modules with defaults, which tell a stage and planning when these files are too old
"""

import json
from pathlib import Path
from typing import Any

from cellscaper.diffusion import settings as diffusion
from cellscaper.errors import CellscaperError
from cellscaper.generators import protocol
from cellscaper.generators.protocol import Decoding, Recipe
from cellscaper.metrics.frechet import fid_name
from cellscaper.metrics.protocol import Column
from cellscaper.metrics.spatial_fid import CAVEAT as FID_CAVEAT
from cellscaper.plan import structure
from cellscaper.plan.provenance import fingerprint
from cellscaper.run.json_schema import Node, block, buildable, choice, named, node, with_default
from cellscaper.run.methods import KINDS, defaults_digest, load, names
from cellscaper.run.settings import settings_in

HERE = Path(__file__).resolve().parent
SECTIONS = {  # kind of method: its section of the configuration and the key that chooses the method
    "datasets": ("datasets", "reader"),
    "density": ("densities", "method"),
    "features": ("features", "method"),
    "painters": ("painters", "method"),
    "detectors": ("detectors", "method"),
}
FRACTIONS = {
    "description": "fractions of the crops that are synthetic in rows with generated pairs; the best on the validation "
    "images is kept",
    "expected": "a list of whole percentages, as fractions above 0 up to 1",
    "type": "array",
    "minItems": 1,
    "uniqueItems": True,
    "items": {"type": "number", "minimum": 0.01, "maximum": 1},
    "default": [0.25, 0.5, 0.75],
}
EQUAL_STEPS = {
    "description": "whether a training with generated pairs sees as many real crops as one without: with a fraction f "
    "of synthetic crops it has steps / (1 − f) steps",
    "type": "boolean",
    "default": False,
}
LEAST_RECALL = {
    "description": "pairs of layout and image are left out of the training of detectors where the detector that judges "
    "images (metrics.image_quality) finds a smaller share of the layout's cells, of any class; null: none are",
    "type": ["number", "null"],
    "minimum": 0,
    "maximum": 1,
    "default": None,
}
SCORED = {
    "description": "field of view → number of windows that layouts are scored for, instead of its evaluation.layouts",
    "type": "object",
    "additionalProperties": {"type": "integer", "minimum": 1},
    "default": {},
}
WORDS = {
    "results": "folder for everything that the workflow makes",
    "seeds": "every training and sampling is repeated for each; tables show mean ± sd (n)",
    "run": "What `snakemake` without a target makes.",
    "datasets": "Name → a data set. `reader` chooses which keys it has.",
    "fields": "Name → a field of view: what a layout covers, what it is compared with, what paints and scores it.",
    "grids": "Name → how a region becomes a raster.",
    "densities": "Name → a density estimator: one map for each class and image. `method` chooses which keys it has.",
    "experiments": "Name → a system that rows of tables name. `base` copies another experiment and lays the own keys "
    "over it; `generator` chooses which keys there are. Experiments with equal settings share their results.",
    "features": "Name → a feature network of spatial-FID; `method` chooses which keys it has.",
    "painters": "Name → a painter, which makes H&E images for layouts; `method` chooses which keys it has.",
    "detectors": "Name → a detector; `method` chooses which keys it has.",
    "metrics": "Settings of the scores.",
    "sets": "Name → a large set of generated layouts and images (docs/large-sets.md). `snakemake sets` makes all.",
    "resources": "Rule → what each of its jobs asks for; `light` serves rules that are not named.",
    "columns": "Name → columns that several tables share.",
    "tables": "Name → a table: rows name experiments, columns name metrics. `base` copies another table.",
}
BASE = {"type": "string", "description": "another experiment: its keys, with the own ones laid over them"}
NAMED = {"type": ["string", "null"]}
FILE = {"type": ["string", "null"], "pattern": "^[^-]", "expected": "a text that does not begin with -, or null"}
INIT = (
    "weights that the training starts from: package:NAME, a file, or another experiment; classes are matched by name. "
    "Inherited only by experiments that change nothing but sampling and decoding"
)
WEIGHTS = (
    "weights in place of a training: package:NAME or a file. Its settings, grid and condition are then those of the "
    "weights; inherited only by experiments that change nothing but sampling and decoding"
)


def experiment(name: str) -> Node:
    """The keys of an experiment of this generator, its base resolved."""
    module = load("generators", name)
    properties: Node = {
        "generator": {},
        "base": {},
        "field": {"type": "string", "description": "what a layout covers, a name from fields"},
        "settings": with_default(node(module.Settings), buildable(module.Settings)),
    }
    if is_trained(module):
        if hasattr(module, "anatomy"):
            properties["init"] = {**FILE, "description": INIT}
        properties["weights"] = {**FILE, "description": WEIGHTS}
        properties["training"] = with_default(node(type(module.TRAINING)), module.TRAINING)
        properties["sampling"] = with_default(node(module.Sampling), buildable(module.Sampling))
    if "points" not in module.DECODERS:
        condition = node(Recipe)["properties"]["condition"]
        properties |= {
            "grid": {**NAMED, "description": "raster of the maps, a name from grids; null for the field's"},
            "condition": {**condition, "description": "what a layout is generated for"},
            "decoding": with_default(node(Decoding), Decoding()),
        }
        if getattr(module, "DENSITY", False):
            beside = "maps beside the layout, a name from densities; null for none"
            properties["density"] = {**NAMED, "description": beside}
    return {"additionalProperties": False, "required": ["field"], "properties": properties}


def is_trained(module: Any) -> bool:
    return hasattr(module, "prepare")


def begins(name: str, module: Any) -> Node | None:
    """The fact BEGINS of a generator, or None; CellscaperError if the generators' settings do not fit it."""
    fact = getattr(module, "BEGINS", None)
    if fact is None:
        return None
    like, keys = load("generators", fact.like), set(module.Settings.model_fields)
    blocks = settings_in(module.Settings.model_fields[fact.block].annotation) if fact.block in keys else []
    if not blocks or fact.after not in blocks[0].model_fields:
        raise CellscaperError(f"generators/{name}.py: BEGINS names {fact.block}.{fact.after}, no block with such a key")
    if keys - {fact.block} != set(like.Settings.model_fields) or hasattr(like, "BEGINS") or not is_trained(like):
        raise CellscaperError(
            f"generators/{name}.py: BEGINS names {fact.like}, which must be trained, have no BEGINS and have the same "
            f"settings but {fact.block}"
        )
    return fact._asdict()


def painter(name: str) -> Node:
    """The block of a painter: its settings, how a trained one is sampled, and which of its images are left out."""
    module = load("painters", name)
    more = {"sampling": with_default(node(module.Sampling), buildable(module.Sampling))} if is_trained(module) else {}
    return block(module.Settings, "method", **more, least_recall=LEAST_RECALL)


def schema() -> Node:
    """What the whole configuration may hold."""
    sections = {
        section: named(choice(key, {name: block(load(kind, name).Settings, key) for name in names(kind)}))
        for kind, (section, key) in SECTIONS.items()
        if kind not in ("datasets", "painters", "detectors")
    }
    sections["datasets"] = named(
        choice(
            "reader",
            {name: block(load("datasets", name).Settings, "reader", layouts=SCORED) for name in names("datasets")},
        )
    )
    sections["painters"] = named(choice("method", {name: painter(name) for name in names("painters")}))
    sections["detectors"] = named(
        choice(
            "method",
            {
                name: block(
                    load("detectors", name).Settings,
                    "method",
                    synthetic_fractions=FRACTIONS,
                    equal_real_steps=EQUAL_STEPS,
                )
                for name in names("detectors")
            },
        )
    )
    metrics = {name: load("metrics", name).Settings for name in names("metrics")}
    table = node(structure.Table)
    table["properties"]["base"] = {**BASE, "description": "another table: its keys, with the own ones laid over them"}
    columns = next(one for one in table["properties"]["columns"]["anyOf"] if one.get("type") == "array")
    properties = {
        "results": {
            "type": "string",
            "pattern": "^[^-~{}][^{}]*$",
            "expected": "a folder without braces in its name that does not begin with - or ~",
            "default": "results",
        },
        "seeds": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {
                "type": "integer",
                "minimum": 0,
                "maximum": 2**63 - 1,
                "expected": "a whole number from 0 below 2^63",
            },
            "default": [0, 1, 2],
        },
        "run": node(structure.Run),
        "datasets": sections["datasets"],
        "fields": named(node(structure.FieldOfView)),
        "grids": named(node(structure.Raster)),
        "densities": sections["densities"],
        "experiments": named(
            choice(
                "generator",
                {name: experiment(name) for name in names("generators")},
                base=BASE,
            )
        ),
        "features": sections["features"],
        "painters": sections["painters"],
        "detectors": sections["detectors"],
        "metrics": {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: with_default(node(model), buildable(model)) for name, model in metrics.items()},
            "default": {},
        },
        "sets": {**named(node(structure.GeneratedSet)), "default": {}},
        "resources": {**named(node(structure.Resources)), "required": ["light"]},
        "columns": named(columns),
        "tables": named(table),
    }
    for name, text in WORDS.items():
        properties[name]["description"] = text
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of cellscaper",
        "type": "object",
        "additionalProperties": False,
        "required": [name for name, one in properties.items() if "default" not in one],
        "properties": properties,
    }


def facts() -> Node:
    """What planning must know of the methods."""
    generators = {name: load("generators", name) for name in names("generators")}
    columns: Node = {}

    def add(score: str, fact: Node) -> None:
        if score in columns:
            raise CellscaperError(f"two methods write the score {score!r}: {columns[score]} and {fact}; rename one")
        columns[score] = fact

    for name in names("metrics"):
        module = load("metrics", name)
        for score, column in module.COLUMNS.items():
            add(score, {"metric": name, "of": getattr(module, "OF", "layouts"), **column._asdict()})
    for name in names("features"):
        module = load("features", name)
        for shrinkage in ("none", "ledoit_wolf"):
            score, fact = (
                fid_name(module.SCORE, shrinkage),
                {"metric": "spatial_fid", "of": "layouts", "features": name},
            )
            for ending, more in (("", ""), ("_test", ", test windows")):
                add(score + ending, {**fact, **Column(module.LABEL + more, caveat=FID_CAVEAT)._asdict()})
    return {
        "datasets": {name: {"by_hand": getattr(load("datasets", name), "BY_HAND", "")} for name in names("datasets")},
        "generators": {
            name: {
                "trained": is_trained(module),
                "gpu": is_trained(module) and getattr(module, "GPU", True),
                "decoders": list(module.DECODERS),
                "begins": begins(name, module),
            }
            for name, module in generators.items()
        },
        "painters": {name: {"trained": is_trained(load("painters", name))} for name in names("painters")},
        "columns": columns,
        "defaults": {kind: {name: defaults_digest(load(kind, name)) for name in names(kind)} for kind in KINDS},
        "modules": {module.__name__: fingerprint(module.__name__) for module in (structure, protocol, diffusion)},
    }


def made() -> dict[str, str]:
    """{file name: text} of the generated files."""
    return {
        "config.schema.json": json.dumps(schema(), indent=1, ensure_ascii=False) + "\n",
        "methods.json": json.dumps(facts(), indent=1, ensure_ascii=False) + "\n",
    }


if __name__ == "__main__":
    for name, text in made().items():
        (HERE / name).write_text(text, encoding="utf-8")
