"""Write docs/config.md from workflow/schemas/config.schema.json: keys, what they allow, defaults, meanings.

It also writes config/README.md, the page that the Snakemake workflow catalog shows and snakedeploy copies.

python docs/make_config.py            # a test compares the pages with what this writes
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from cellscaper.plan.configuration import configuration
from cellscaper.plan.schema import schema

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs/config.md"
FIRST_PAGE = REPOSITORY / "config/README.md"
Keys = tuple[str, ...]

HEAD = """\
# Every key of the configuration

`docs/make_config.py` makes this page from the schema, which `workflow/schemas/generate.py` makes from each method's `Settings`; do not edit it.

`config.yaml` and `workflow/tables/` hold the papers' values; a key that is not there has the default of its method. Change single keys by overlays, which may be several:
`.venv/bin/snakemake --workflow-profile workflow/profiles/local --cores 2 --configfile workflow/presets/brca-small.yaml mine.yaml`.

- Maps are merged key by key, everything else is replaced. `null` in place of a map removes it: an experiment, a row of a table, a block of settings, which then has its defaults again.
- `base: NAME` in an experiment or a table copies that entry and lays the own keys over it. Bases are read after the overlays, so an overlay that changes `adm` changes every experiment that is based on it.
- Another `kind`, `method`, `reader` or `generator` leaves the inherited keys behind that it does not have. Keys of another kind that stand in the entry itself are errors.
- `field` of an experiment names an entry of `fields`, the field of view: how large a layout is, which windows it is compared with, what paints and scores it.
- Unknown keys and names that refer to nothing are errors, told in one line with the file and the nearest valid name.
- Lengths are px at 20× (0.5 µm) unless another unit is named.

An editor with a YAML language server checks and completes keys with `# yaml-language-server: $schema=…/workflow/schemas/config.schema.json` at the top of an overlay.

*value* is the one that all entries with this reader, method or generator have in the papers' configuration. Where they differ, the cell says *entries differ* and gives the default, if there is one; `config.yaml` and `workflow/tables/` have the value of each entry. No value means null or, of an upright key, that each entry must give one. Keys in *italics* may be left out.
"""

FIRST_HEAD = """\
# Configuring cellscaper

`docs/make_config.py` makes this page from the schema; do not edit it.

The rules run the package `cellscaper`. Install it into the environment that runs Snakemake, at the tag that you deploy: `pip install git+ADDRESS@TAG` (or `pip install .` in a clone; about 2 GB with torch).

`config/config.yaml` is an **overlay**: it changes single keys of the papers' configuration, which comes with the package. A key that is not there keeps the papers' value. As it is, it makes one small table on simulated tissue without a network, in some minutes on one core. What you may do next:

| you want | put into `config/config.yaml` |
|---|---|
| your own cells | `cellscaper check my_folder -o config/config.yaml` writes it: the data set, its classes and scale, a table |
| BRCA-M2C | `run: {datasets: [brca_m2c]}`; its 120 images are downloaded, or `datasets: {brca_m2c: {path: FOLDER}}` |
| other tables | `run: {tables: [tc_table1, tc_table2]}`; the names are below |
| smaller networks | the keys of a preset: `workflow/presets/` of the repository has them for a laptop, two cores, a night, one GPU |
| another folder for results | `results: FOLDER` |
| a part of another workflow | `module`, with `snakefile: …/workflow/Snakefile` and `config:` a map with these keys; `pathvars: results="FOLDER"` moves its results |

- Maps are merged key by key, everything else is replaced. `null` in place of a map removes it.
- Unknown keys, wrong values and names that refer to nothing are errors: one line with the key, the file and the nearest valid name.
- `snakemake -n` lists what would be done, `cellscaper plan --configfile config/config.yaml` what it would cost.
- Lengths are px at 20× (0.5 µm) unless another unit is named.

"""


class Leaf(NamedTuple):
    """A key of the page: its path below the section or the named entry, what it takes, its default."""

    path: Keys
    node: Any
    is_required: bool
    default: Any

    @property
    def text(self) -> Keys:
        """What a reader sees of it beside its value: methods share keys of equal text."""
        return ".".join(self.path), allowed(self.node), meaning(self.node)


def leaves(node: Any, path: Keys = (), default: Any = None, said: str = "") -> Iterator[Leaf]:
    """Each key below a node that has no keys of its own; `*` stands for any name and for any place in a list."""
    default = node.get("default", default)
    for key, child in node.get("properties", {}).items():
        if child:  # an empty one is explained where its method is chosen
            given = default.get(key, child.get("default")) if isinstance(default, dict) else child.get("default")
            is_required = key in node.get("required", ()) and given is None
            yield from _leaves_of(key, child, path, given, is_required, said)
    for branch in node.get("allOf", ()):
        (only,) = branch["if"]["properties"].items()
        kind = f"{'.'.join((*path, only[0]))} {only[1]['const']}: "
        own = {key: child for key, child in branch["then"]["properties"].items() if key != only[0]}
        yield from leaves({**branch["then"], "properties": own}, path, default, kind)


def _leaves_of(key: str, child: Any, path: Keys, default: Any, is_required: bool, said: str) -> Iterator[Leaf]:
    here = (*path, key)
    if child.get("properties") or "allOf" in child:
        yield from leaves(child, here, default, said)
        return
    inner = [child.get("additionalProperties"), child.get("items"), *child.get("anyOf", ())]
    inner += [one["items"] for one in child.get("anyOf", ()) if "items" in one]
    below = [one for one in inner if isinstance(one, dict) and "properties" in one]
    if (not below and child.get("properties") != {}) or "expected" in child:
        yield Leaf(here, {**child, "said": said}, is_required, default)
    for one in below:
        is_map = one is child.get("additionalProperties") or one not in child.get("anyOf", ())
        yield from leaves(one, (*here, "*") if is_map else here, None, said)


def page() -> str:
    """The page."""
    config = configuration({})
    parts = [HEAD]
    for name, node in schema()["properties"].items():
        said = node["description"]
        parts += [
            f"## {name}",
            "",
            f"{said[:1].upper()}{said[1:].rstrip('.')}.",
            "",
            *section(name, node, config[name]),
        ]
    return "\n".join(parts).rstrip() + "\n"


def first_page() -> str:
    """The page beside `config/config.yaml`: how to go on from it, and the sections in a line each."""
    config = configuration({})
    lines = ["| section | what it holds | in the papers' configuration |", "|---|---|---|"]
    for name, node in schema()["properties"].items():
        said, value = node["description"], config[name]
        names = ", ".join(f"`{one}`" for one in value) if isinstance(value, dict) else f"`{value}`"
        if name == "run":
            names = "; ".join(f"`{key}`: {', '.join(map(str, one))}" for key, one in value.items())
        if len(names) > 600:
            names = f"{len(value)} entries"
        lines.append(f"| `{name}` | {said[:1].upper()}{said[1:].rstrip('.')}. | {names} |")
    end = "Every key of every section, with what it takes, its default and its meaning: `docs/config.md` of the repository."
    return FIRST_HEAD + "\n".join([*lines, "", end]) + "\n"


def section(name: str, node: Any, value: Any) -> Iterator[str]:
    """The tables of a section: one, or where a method is chosen one for each set of methods with the same keys."""
    inner = node.get("additionalProperties")
    if not isinstance(inner, dict):
        found = list(leaves(node)) if "properties" in node else [Leaf((name,), node, True, None)]
        entries = [value if "properties" in node else {name: value}]
        yield from table(row(leaf, {"": shown(leaf, entries)}) for leaf in found)
        return
    if "choose" in inner:
        yield from chosen(name, inner, value)
    else:
        inner = inner if "properties" in inner else inner["items"]
        entries = [one for entry in value.values() for one in (entry if isinstance(entry, list) else [entry])]
        yield from table(row(leaf, {"": shown(leaf, entries)}) for leaf in leaves(inner))
    if value:
        yield from (f"In the papers' configuration: {', '.join(f'`{one}`' for one in value)}.", "")


def chosen(name: str, inner: Any, value: Any) -> Iterator[str]:
    """A table of keys for each set of methods that share them."""
    key = inner["choose"]
    every = {branch["if"]["properties"][key]["const"]: branch["then"] for branch in inner["allOf"]}
    common = [Leaf((one,), node, False, None) for one, node in inner["properties"].items() if one != key]
    owners: dict[Keys, tuple[Leaf, dict[str, str]]] = {}
    for kind, node in every.items():
        entries = [entry for entry in value.values() if entry[key] == kind]
        for leaf in [*common, *leaves(node)]:
            owners.setdefault(leaf.text, (leaf, {}))[1][kind] = shown(leaf, entries)
    groups: dict[Keys, list[str]] = {}
    for leaf, values in owners.values():
        groups.setdefault(tuple(values), []).append(row(leaf, values))
    for kinds, rows in sorted(groups.items(), key=lambda group: -len(group[0])):
        who = f"every {key}" if len(kinds) == len(every) > 1 else f"{key} {', '.join(kinds)}"
        yield from (f"### {name}: {who}", "", *table(rows))


def table(rows: Iterable[str]) -> list[str]:
    """A table of these rows."""
    return ["| key | allowed | value | meaning |", "|---|---|---|---|", *rows, ""]


def row(leaf: Leaf, values: dict[str, str]) -> str:
    """The row of a key; ``values``: its value by method, said once where all have the same."""
    path, *rest = leaf.text
    kinds: dict[str, list[str]] = {}
    for kind, value in values.items():
        kinds.setdefault(value, []).append(kind)
    said = [(f"{', '.join(who)}: " if len(kinds) > 1 else "") + value for value, who in kinds.items() if value]
    cells = [f"`{path}`" if leaf.is_required else f"*`{path}`*", rest[0], "; ".join(said), rest[1]]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def shown(leaf: Leaf, entries: Sequence[Any]) -> str:
    """The value that all ``entries`` of the papers' configuration have, or that they differ; else the default, if any."""
    values = [_at(entry, leaf.path) for entry in entries]
    values = [value for value in values if value is not None or not leaf.node.get("said")]  # none: another kind
    agree = all(one == values[0] for one in values)
    value = values[0] if values and agree and values[0] is not None else leaf.default
    text = "" if value is None else yaml.safe_dump(value, default_flow_style=True, width=1000).split("\n...")[0].strip()
    if agree:
        return f"`{text}`" if text else ""
    return f"*entries differ*, default `{text}`" if text else "*entries differ*"


def _at(node: Any, path: Keys) -> Any:
    for key in path:
        node = node.get(key) if isinstance(node, dict) else None
    return node


def meaning(node: Any) -> str:
    """What a key means; of one that only some kinds have, with the kind."""
    return str(node.get("said", "")) + str(node.get("description", ""))


def allowed(node: Any) -> str:
    """What a key takes, in words."""
    if "expected" in node:
        return str(node["expected"])
    if "enum" in node:
        return " | ".join(_plain(one) for one in node["enum"])
    if "const" in node:
        return _plain(node["const"])
    if "anyOf" in node:
        return " or ".join(allowed(one) for one in node["anyOf"])
    words = {
        "integer": "whole number",
        "boolean": "true | false",
        "string": "text",
        "array": "list",
        "object": "map",
    }
    kinds = node.get("type", "any")
    text = " or ".join(words.get(kind, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds))
    inner = [node["items"]] if isinstance(node.get("items"), dict) else node.get("prefixItems", [])
    if inner:
        text = text.replace("list", "list of " + " and ".join(dict.fromkeys(map(allowed, inner))))
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    signs["multipleOf"] = "multiple of"
    return text + "".join(f" {sign} {node[key]:g}" for key, sign in signs.items() if key in node)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else yaml.safe_dump(value).split("\n")[0]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    FIRST_PAGE.write_text(first_page(), encoding="utf-8")
