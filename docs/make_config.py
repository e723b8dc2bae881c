"""Write docs/config.md from workflow/schemas/config.schema.yaml (what is allowed) and config.yaml (values, comments).

python docs/make_config.py            # a test compares the page with what this writes
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs/config.md"
Keys = tuple[str, ...]

HEAD = """\
# Every key of the configuration

Made by `docs/make_config.py` from the schema and the comments of `config.yaml`; do not edit.

`config.yaml` holds the papers' values. Change single keys by overlays, which may be several:
`.venv/bin/snakemake --workflow-profile workflow/profiles/local --cores 2 --configfile workflow/presets/brca-small.yaml mine.yaml`.
Maps are merged key by key, everything else is replaced. Unknown keys and names that refer to nothing are errors, in one line with the file. Lengths are px at 20×
(0.5 µm) unless another unit is named. An editor with a YAML language server checks and completes keys with
`# yaml-language-server: $schema=…/workflow/schemas/config.schema.yaml` at the top of an overlay.

*value* is that of `config.yaml`, where the key stands in it once or in a block of defaults; keys in *italics* may be left out.
"""
WORDS = {  # sections whose comment in config.yaml says too little
    "datasets": "Name → a dataset. `reader` chooses which keys it has.",
    "experiments": "Name → overrides of single keys of `layout_model`. Each is a system that rows of tables name; equal settings share their results.",
    "layout_model": "Defaults of every experiment.",
    "densities": "Name → a density estimator; `method` chooses which keys it has.",
    "features": "Name → a feature network of spatial-FID; `method` chooses which keys it has.",
    "detectors": "Name → a detector; `method` chooses which keys it has.",
    "image_models": "Name → a model that paints H&E images for layouts.",
    "metrics": "Settings of the scores.",
    "resources": "Rule → what each of its jobs asks for; `light` serves rules that are not named.",
    "tables": "Name → a table: rows name experiments, columns name metrics.",
    "patches": "Name → windows of real images that layouts are compared with and matched to.",
    "grids": "Name → how a region becomes a raster.",
}
MEANINGS = {  # keys of tables, which config.yaml explains once for all
    "title": "what the table is called",
    "source": "the paper and its table",
    "values": "table whose paper values stand beside ours, if not its own",
    "skip_datasets": "datasets the paper has no such table for",
    "kind": "whose scores its cells are",
    "figures": "its rows are shown in the dataset's figures",
    "detectors": "names from detectors: each has columns of its own",
    "rows.*.label": "what the row is called",
    "rows.*.experiment": "name from experiments; null where none is run (real only)",
    "rows.*.decoder": "how its maps are read: components = protocol paper, released, requested = ours, points = placed points",
    "rows.*.why": "for what reason the row is not run",
    "rows.*.curve": "its place in a figure of quality against sampling steps",
    "columns.*.metric": "name in the score files",
    "columns.*.class": "class of the score; * for a column a class",
    "columns.*.label": "what the column is called",
    "columns.*.paper": "the paper's column, where ours is defined otherwise",
    "columns.*.note": "how the definitions differ",
    "columns.*.why": "for what reason the column is not computed",
}
RESOURCES = {"threads": "cores a job", "mem_mb": "MB, growing with each attempt", "runtime": "minutes", "gpu": "GPUs"}


def comments(text: str) -> dict[Keys, str]:
    """The comment behind each key of a YAML file, by its path; of several keys on a line the first one's."""
    lines = text.splitlines()
    taken: set[int] = set()
    found: dict[Keys, str] = {}

    def walk(node: yaml.Node, path: Keys) -> None:
        if not isinstance(node, yaml.MappingNode):
            return
        for key, value in node.value:
            at = key.start_mark.line
            here = (*path, str(key.value))
            comment = _comment(lines[at])
            if (
                comment
                and at not in taken
                and at not in {end for end in (node.start_mark.line,) if node.flow_style and path}
            ):
                found[here] = comment
            taken.add(at)
            walk(value, here)

    walk(yaml.compose(text), ())
    return found


def _comment(line: str) -> str:
    """The comment of a line, outside quotes."""
    quote = ""
    for i, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == "#" and (i == 0 or line[i - 1].isspace()):
            return line[i + 1 :].strip()
    return ""


class Page:
    """Writes the page for a schema and a config."""

    def __init__(self, schema: dict[str, Any], config: dict[str, Any], comments: dict[Keys, str]):
        self.schema, self.config, self.comments = schema, config, comments

    def text(self) -> str:
        parts = [HEAD]
        for name, node in self.schema["properties"].items():
            parts += [f"## {name}", "", *self.section(name, node), ""]
        return "\n".join(parts).rstrip() + "\n"

    def section(self, name: str, node: dict[str, Any]) -> list[str]:
        said = WORDS.get(name) or self.comments.get((name,), "")
        intro = [said[:1].upper() + said[1:].rstrip(".") + ".", ""] if said else []
        node = self.resolve(node)
        if "additionalProperties" not in node or node["additionalProperties"] is False:
            if "properties" not in node:
                return [*intro, *self.table([((name,), node, True)])]
            return [*intro, *self.table(self.rows((name,), node))]
        inner = self.resolve(node["additionalProperties"])
        if "allOf" in inner:
            (chooser,) = inner["properties"]
            lines = list(intro)
            for choice in inner["allOf"]:
                kind = choice["if"]["properties"][chooser]["const"]
                lines += [f"### {name}: {chooser} {kind}", ""]
                lines += [*self.table(self.rows((name, "*"), self.resolve(choice["then"]), chooser, kind)), ""]
            return lines[:-1]
        names = f"In `config.yaml`: {', '.join(f'`{one}`' for one in self.config[name])}."
        if name == "experiments":
            return [*intro, "Keys: those of `layout_model`, all optional.", "", names]
        return [*intro, *self.table(self.rows((name, "*"), inner)), "", names]

    def resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in node:
            return node
        own = {key: value for key, value in node.items() if key != "$ref"}
        return {**self.resolve(self.schema["$defs"][node["$ref"].rsplit("/", 1)[1]]), **own}

    def rows(
        self, path: Keys, node: dict[str, Any], chooser: str = "", kind: str = ""
    ) -> Iterator[tuple[Keys, dict[str, Any], bool]]:
        """(path, schema, required) of each leaf below a node; `*` stands for any name, ``kind`` pins the entries."""
        required = set(node.get("required", []))
        for key, raw in node.get("properties", {}).items():
            value = self.resolve(raw)
            here = (*path, key)
            if key == chooser:
                continue
            if "oneOf" in value and any("properties" in self.resolve(one) for one in value["oneOf"]):
                value = next(self.resolve(one) for one in value["oneOf"] if "properties" in self.resolve(one))
            if "properties" in value:
                yield from self.rows(here, value, "", kind)
            elif isinstance(value.get("additionalProperties"), dict) and "properties" in value["additionalProperties"]:
                yield from self.rows((*here, "*"), value["additionalProperties"], "", kind)
            elif isinstance(value.get("items"), dict) and "properties" in value["items"]:
                yield from self.rows((*here, "*"), value["items"], "", kind)
            else:
                yield here, {**value, "_kind": kind}, key in required

    def table(self, rows: Any) -> list[str]:
        lines = ["| key | allowed | value | meaning |", "|---|---|---|---|"]
        for path, node, required in rows:
            shown = ".".join(path[2:] if path[1:2] == ("*",) else path if len(path) == 1 else path[1:])
            key = f"`{shown}`" if required or path[0] == "layout_model" else f"*`{shown}`*"
            value, said = self.example(path, node.get("_kind", ""))
            own = {"tables": MEANINGS, "resources": RESOURCES}.get(path[0], {})
            meaning = own.get(shown) or node.get("$comment") or said
            cells = [key, allowed(self.resolve(node)), f"`{value}`" if value else "", meaning]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        return lines

    def example(self, path: Keys, kind: str) -> tuple[str, str]:
        """The value of a key in config.yaml and its comment: from the only entry, or the first of its kind."""
        tried = [(path, self.config)]
        if "*" in path:
            entries = self.config[path[0]]
            chosen = [
                one for one, block in entries.items() if not kind or kind in (block.get("reader"), block.get("method"))
            ]
            tried = [((path[0], one, *path[2:]), self.config) for one in chosen]
        said = next((self.comments[one] for one, _ in tried if one in self.comments), "") or self.elsewhere(
            tried[0][0] if tried else path
        )
        if path[0] in ("tables", "resources"):
            return "", ""
        for one, node in tried[:1]:
            for key in one:
                node = node.get(key) if isinstance(node, dict) else None
            if node is not None:
                return yaml.safe_dump(node, default_flow_style=True, width=1000).split("\n...")[0].strip(), said
        return "", said

    def elsewhere(self, path: Keys) -> str:
        """The comment of the same key in another block, else of the map that it is in."""
        ends = [path[-n:] for n in (3, 2) if len(path) > n]
        found = next((said for end in ends for one, said in self.comments.items() if one[-len(end) :] == end), "")
        inside = len(path) > 2 and path[0] not in ("tables", "densities")
        return found or (self.comments.get(path[:-1], "") if inside else "")


def allowed(node: dict[str, Any]) -> str:
    """What a leaf of the schema takes, in words."""
    if "description" in node:
        return str(node["description"])
    if "enum" in node:
        return " | ".join(_plain(one) for one in node["enum"])
    if "const" in node:
        return str(node["const"])
    if "oneOf" in node:
        return " or ".join(allowed(one) for one in node["oneOf"])
    kinds = node.get("type", "any")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    words = {
        "integer": "whole number",
        "boolean": "true | false",
        "string": "text",
        "array": "list",
        "object": "map",
        "null": "null",
    }
    text = " or ".join(words.get(kind, kind) for kind in kinds)
    if node.get("type") == "array" and isinstance(node.get("items"), dict):
        inner = node["items"]
        text += " of " + (allowed(inner) if "$ref" not in inner else inner["$ref"].rsplit("/", 1)[1] + "s")
    limits = [
        ("minimum", "≥"),
        ("exclusiveMinimum", ">"),
        ("maximum", "≤"),
        ("exclusiveMaximum", "<"),
        ("multipleOf", "multiple of"),
    ]
    return text + "".join(f" {sign} {node[key]:g}" for key, sign in limits if key in node)


def _plain(value: Any) -> str:
    return {None: "null", True: "true", False: "false"}.get(value, str(value)) if not isinstance(value, str) else value


def make() -> str:
    """The page."""
    text = (REPOSITORY / "config.yaml").read_text(encoding="utf-8")
    schema = yaml.safe_load((REPOSITORY / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8"))
    return Page(schema, yaml.safe_load(text), comments(text)).text()


if __name__ == "__main__":
    PAGE.write_text(make(), encoding="utf-8")
