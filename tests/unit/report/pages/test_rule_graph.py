import itertools
import re
import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from cellscaper.report.pages.rule_graph import draw_graph, layers, parse_dot, reduced

DOT = """digraph snakemake_dag {
    graph[bgcolor=white, margin=0];
\t0[label = "all", color = "0.00 0.6 0.85", style="rounded"];
\t1[label = "make_tables", color = "0.35 0.6 0.85", style="rounded"];
\t2[label = "read_cells", color = "0.41 0.6 0.85", style="rounded"];
\t1 -> 0
\t2 -> 1
\t2 -> 0
}
"""
ACYCLIC = st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda pair: pair[0] < pair[1]), min_size=1)


def reachable(edges):
    """All (node, later node) pairs, by Warshall's algorithm."""
    found = set(edges)
    nodes = {node for edge in edges for node in edge}
    for middle, one, other in itertools.product(sorted(nodes), repeat=3):
        if (one, middle) in found and (middle, other) in found:
            found.add((one, other))
    return found


def test_snakemakes_dot_becomes_edges_by_name():
    assert parse_dot(DOT) == [("make_tables", "all"), ("read_cells", "make_tables"), ("read_cells", "all")]


@given(ACYCLIC)
def test_the_reduction_says_the_same_with_no_edge_to_spare(pairs):
    edges = [(str(a), str(b)) for a, b in pairs]
    kept = reduced(edges)
    assert set(kept) <= set(edges)
    assert reachable(kept) == reachable(edges)
    assert all(reachable(set(kept) - {one}) != reachable(edges) for one in kept)


@given(ACYCLIC)
def test_every_edge_goes_down_the_layers(pairs):
    edges = [(f"r{a}", f"r{b}") for a, b in pairs]
    depth = {node: row for row, line in enumerate(layers(edges)) for node in line}
    assert sorted(depth) == sorted({node for edge in edges for node in edge})
    assert all(depth[one] < depth[other] for one, other in edges)


def test_the_drawing_is_well_formed_and_holds_each_rule_once():
    svg = draw_graph(parse_dot(DOT), {"read_cells": 3, "all": 1})
    root = ET.fromstring(svg)
    texts = ["".join(node.itertext()) for node in root.iter("text")]
    assert sorted(texts) == ["all × 1", "make_tables", "read_cells × 3"]
    assert len(root.findall("path")) == 2  # the direct edge to `all` is implied
    width, height = (float(part) for part in root.attrib["viewBox"].split()[2:])
    for box in root.iter("rect"):
        assert float(box.attrib["x"]) >= 0 and float(box.attrib["x"]) + float(box.attrib["width"]) <= width
        assert float(box.attrib["y"]) >= 0 and float(box.attrib["y"]) + float(box.attrib["height"]) <= height
    assert re.search(r'role="img" aria-label="[^"]+"', svg)
