"""The rule graph of a run as SVG: which rule reads the files of which, in layers, without graphviz."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from cellscaper.errors import CellscaperError
from cellscaper.plan.provenance import canonical

BOX, GAP_X, GAP_Y = (132, 30), 18, 46  # px
_NODE = re.compile(r'^\s*(\d+)\[label = "([^"]+)"')
_EDGE = re.compile(r"^\s*(\d+) -> (\d+)")


def rule_edges(snakefile: Path, config: Mapping[str, object]) -> list[tuple[str, str]]:
    """(rule, rule that reads what it makes) of everything that this configuration runs, as Snakemake lists it.

    CellscaperError with Snakemake's last line if Snakemake fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "config.json")
        file.write_text(canonical(config), encoding="utf-8")
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--configfile", str(file)]
        ended = subprocess.run(
            [*command, "--profile", "none", "--workflow-profile", "none", "--rulegraph", "dot", "all"],
            capture_output=True,
            text=True,
        )
    if ended.returncode:
        said = (ended.stderr.strip().splitlines() or ["no message"])[-1]
        raise CellscaperError(f"snakemake --rulegraph ended with status {ended.returncode}: {said}")
    return parse_dot(ended.stdout)


def parse_dot(text: str) -> list[tuple[str, str]]:
    """The edges of Snakemake's graph in dot, by the names of the rules."""
    lines = text.splitlines()
    names = {found[1]: found[2] for line in lines if (found := _NODE.match(line))}
    return [(names[found[1]], names[found[2]]) for line in lines if (found := _EDGE.match(line))]


def reduced(edges: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The edges of an acyclic graph without the edges that a longer way implies (its transitive reduction)."""
    after: dict[str, set[str]] = {}
    for one, other in edges:
        after.setdefault(one, set()).add(other)
    reach: dict[str, set[str]] = {}

    def reached(node: str) -> set[str]:
        if node not in reach:
            reach[node] = set()  # a cycle ends here
            reach[node] = {far for near in after.get(node, ()) for far in (near, *reached(near))}
        return reach[node]

    return sorted(
        (one, other)
        for one, near in after.items()
        for other in near
        if not any(other in reached(between) for between in near if between != other)
    )


def layers(edges: Sequence[tuple[str, str]]) -> list[list[str]]:
    """The nodes by the longest way that leads to each, ordered within a layer so that few edges cross."""
    before: dict[str, set[str]] = {node: set() for edge in edges for node in edge}
    for one, other in edges:
        before[other].add(one)
    depth: dict[str, int] = {}

    def depth_of(node: str) -> int:
        if node not in depth:
            depth[node] = 1 + max((depth_of(one) for one in before[node]), default=-1)
        return depth[node]

    found: list[list[str]] = [[] for _ in range(1 + max((depth_of(node) for node in before), default=-1))]
    for node in sorted(before):
        found[depth[node]].append(node)
    neighbours: dict[str, list[str]] = {node: [] for node in before}
    for one, other in edges:
        neighbours[one].append(other)
        neighbours[other].append(one)
    for _ in range(8):  # barycentre heuristic
        place = {node: (i + 0.5) / len(line) for line in found for i, node in enumerate(line)}
        for line in found:
            line.sort(key=lambda node: sum(place[one] for one in neighbours[node]) / len(neighbours[node]))
            place |= {node: (i + 0.5) / len(line) for i, node in enumerate(line)}
    return found


def draw_graph(edges: Sequence[tuple[str, str]], jobs: Mapping[str, int]) -> str:
    """SVG of the graph, sources on top, with the number of ``jobs`` of each rule where it is known."""
    edges = reduced(edges)
    lines = layers(edges)
    width = max((len(line) for line in lines), default=1) * (BOX[0] + GAP_X) + GAP_X
    height = len(lines) * (BOX[1] + GAP_Y) - GAP_Y + 8
    at = {}
    for row, line in enumerate(lines):
        for i, node in enumerate(line):
            at[node] = (width * (i + 0.5) / len(line), 4 + row * (BOX[1] + GAP_Y))
    parts = [
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="Rules and which of them read '
        'whose files; the list below says the same in words">'
    ]
    for one, other in edges:
        (x, y), (to_x, to_y) = at[one], at[other]
        start, end = y + BOX[1], to_y
        middle = (start + end) / 2
        parts.append(f'<path class="edge" d="M{x:.0f} {start}C{x:.0f} {middle} {to_x:.0f} {middle} {to_x:.0f} {end}"/>')
    for node, (x, y) in at.items():
        number = f'<tspan class="jobs"> × {jobs[node]}</tspan>' if node in jobs else ""
        parts.append(
            f'<rect class="node" x="{x - BOX[0] / 2:.0f}" y="{y}" width="{BOX[0]}" height="{BOX[1]}" rx="5"/>'
            f'<text x="{x:.0f}" y="{y + BOX[1] / 2 + 4:.0f}">{escape(node)}{number}</text>'
        )
    return "".join([*parts, "</svg>"])
