"""Draw docs/rules.svg: the rules of the workflow and which of them read whose files, for the `ci` preset.

python docs/make_rules.py             # a test compares its rules with those of workflow/rules/

`ci` runs every rule. Without graphviz: `report/pages/rule_graph.py` draws, as in the report of a run.
"""

from pathlib import Path

from cellscaper.plan.configuration import given
from cellscaper.report.pages.rule_graph import draw_graph, rule_edges

REPOSITORY = Path(__file__).resolve().parent.parent
PICTURE = REPOSITORY / "docs/rules.svg"
STYLE = """<style>
text { font: 12px "Liberation Sans", Arial, sans-serif; text-anchor: middle; fill: #1d2329; }
.node { fill: #f4f6f7; stroke: #7b8791; }
.edge { fill: none; stroke: #9aa5ae; stroke-width: 1.2; }
</style><rect width="100%" height="100%" fill="#fff"/>"""


def drawn() -> str:
    """The picture as an SVG file of its own."""
    config = given({}, {}, [REPOSITORY / "workflow/presets/ci.yaml"])
    svg = draw_graph(rule_edges(REPOSITORY / "workflow/Snakefile", config), {})
    start, rest = svg.split(">", 1)
    return start.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1) + f">{STYLE}{rest}\n"


if __name__ == "__main__":
    PICTURE.write_text(drawn(), encoding="utf-8")
