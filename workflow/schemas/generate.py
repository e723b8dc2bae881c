"""Write the schema of the configuration and the facts that planning reads, from the Settings of every method.

python workflow/schemas/generate.py       # part of `make schema`; a test fails where the committed files differ

config.schema.json   what config.yaml may hold, with defaults and descriptions
methods.json         what planning must know of methods without importing them: trained or not, decoders, columns;
                     digests of their defaults and facts and of the other modules with defaults, which tell a stage
                     and planning when these files are too old
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from cellscaper.diffusion import settings as diffusion
from cellscaper.errors import CellscaperError
from cellscaper.generators import protocol
from cellscaper.generators.protocol import Decoding, Recipe
from cellscaper.metrics.frechet import fid_name
from cellscaper.metrics.protocol import Column
from cellscaper.metrics.spatial_fid import CAVEAT as FID_CAVEAT
from cellscaper.plan import structure
from cellscaper.plan.provenance import fingerprint
from cellscaper.run.methods import KINDS, defaults_digest, load, names
from cellscaper.run.settings import Settings

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
SCORED = {
    "description": "field of view → number of windows that layouts are scored for, instead of its evaluation.layouts",
    "type": "object",
    "additionalProperties": {"type": "integer", "minimum": 1},
    "default": {},
}
NAMES = {"type": "string", "pattern": "^[a-z][a-z0-9_]*$(?!\\n)", "expected": "names of small letters, digits and _"}
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
    "resources": "Rule → what each of its jobs asks for; `light` serves rules that are not named.",
    "columns": "Name → columns that several tables share.",
    "tables": "Name → a table: rows name experiments, columns name metrics. `base` copies another table.",
}
CHOOSERS = {  # keys that decide which others there are
    "reader": "what reads it",
    "method": "which method it is",
    "generator": "which system it is; a base gives it, too",
    "kind": "decides which of the keys below it has",
}
BASE = {"type": "string", "description": "another experiment: its keys, with the own ones laid over them"}
NAMED = {"type": ["string", "null"]}
Node = dict[str, Any]


def node(model: type[BaseModel]) -> Node:
    """The JSON schema of a settings class, its references written out, in the form that planning and errors use."""
    whole = model.model_json_schema(by_alias=True)
    return plain(whole, whole.get("$defs", {}))


def plain(raw: Any, definitions: Node) -> Any:
    """References written out, titles gone, nullable and discriminated unions in one node."""
    if isinstance(raw, list):
        return [plain(one, definitions) for one in raw]
    if not isinstance(raw, dict):
        return raw
    own = {key: value for key, value in raw.items() if key not in ("$ref", "$defs", "title")}
    if "$ref" in raw:
        own = {**definitions[raw["$ref"].rsplit("/", 1)[1]], **own}
        own.pop("title", None)
    if "discriminator" in own:
        return union(own, definitions)
    own = {
        key: value
        if key in ("default", "enum", "const")
        else {name: plain(one, definitions) for name, one in value.items()}
        if key == "properties"
        else plain(value, definitions)
        for key, value in own.items()
    }
    return nullable(own)


def union(raw: Node, definitions: Node) -> Node:
    """A union that the key ``kind`` decides."""
    key = raw["discriminator"]["propertyName"]
    variants = {
        kind: plain({"$ref": reference}, definitions) for kind, reference in raw["discriminator"]["mapping"].items()
    }
    kept = {name: value for name, value in raw.items() if name in ("default", "description")}
    return {**choice(key, variants), **kept}


def choice(key: str, variants: dict[str, Node], **more: Any) -> Node:
    """An object whose ``key`` chooses which properties it has."""
    for variant in variants.values():
        variant["properties"][key] = {}  # said once, beside the others
    branches = [
        {"if": {"properties": {key: {"const": name}}, "required": [key]}, "then": variant}
        for name, variant in variants.items()
    ]
    return {
        "type": "object",
        "required": [key],
        "choose": key,
        "properties": {key: {"enum": list(variants), "description": CHOOSERS[key]}, **more},
        "allOf": branches,
    }


def nullable(raw: Node) -> Node:
    """``anyOf: [X, null]`` as X that may be null."""
    options = raw.get("anyOf", [])
    nulls = [one for one in options if one == {"type": "null"}]
    others = [one for one in options if one != {"type": "null"}]
    if not nulls:
        return raw
    rest = {key: value for key, value in raw.items() if key != "anyOf"}
    if len(others) > 1:
        return {**rest, "anyOf": options}
    (only,) = others
    if "enum" in only:
        return {**{k: v for k, v in only.items() if k != "type"}, "enum": [*only["enum"], None], **rest}
    if "const" in only:
        return {"enum": [only["const"], None], **rest}
    return {**only, "type": [only["type"], "null"], **rest}


def block(model: type[BaseModel], *extra: str, **more: Node) -> Node:
    """The schema of a method's block: its settings and the keys that choose it (``extra``) or stand beside them."""
    found = node(model)
    found.pop("description", None)
    found["properties"] = {**{key: {} for key in extra}, **found.get("properties", {}), **more}
    return found


def named(inner: Node) -> Node:
    """A map from names to nodes."""
    return {"type": "object", "propertyNames": NAMES, "additionalProperties": inner}


def with_default(found: Node, default: BaseModel | None) -> Node:
    """The node with a whole default, where there is one."""
    return found if default is None else {**found, "default": default.model_dump(mode="json", by_alias=True)}


def buildable(model: type[Settings]) -> Settings | None:
    """The settings with all defaults, or None where a key has none."""
    return None if any(one.is_required() for one in model.model_fields.values()) else model()


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
        properties["training"] = with_default(node(type(module.TRAINING)), module.TRAINING)
        properties["sampling"] = with_default(node(module.Sampling), buildable(module.Sampling))
    if "points" not in module.DECODERS:
        condition = node(Recipe)["properties"]["condition"]
        properties |= {
            "grid": {**NAMED, "description": "raster of the maps, a name from grids; null for the field's"},
            "density": {**NAMED, "description": "maps beside the layout, a name from densities; null for none"},
            "condition": {**condition, "description": "what a layout is generated for"},
            "decoding": with_default(node(Decoding), Decoding()),
        }
    return {"additionalProperties": False, "required": ["field"], "properties": properties}


def is_trained(module: Any) -> bool:
    return hasattr(module, "prepare")


def painter(name: str) -> Node:
    """The block of a painter: its settings, and how a trained one is sampled."""
    module = load("painters", name)
    more = {"sampling": with_default(node(module.Sampling), buildable(module.Sampling))} if is_trained(module) else {}
    return block(module.Settings, "method", **more)


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
                name: block(load("detectors", name).Settings, "method", synthetic_fractions=FRACTIONS)
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
        "generators": {
            name: {"trained": is_trained(module), "decoders": list(module.DECODERS)}
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
