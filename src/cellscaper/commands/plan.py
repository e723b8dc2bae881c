"""`cellscaper plan`: what a run of the workflow costs, before it starts."""

import argparse
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cellscaper.commands import options
from cellscaper.errors import CellscaperError
from cellscaper.plan.numbers import spaced

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cellscaper.plan.cards import Card
    from cellscaper.plan.cost import Costs, Group
    from cellscaper.plan.merging import Config

WIDTH = 100
HELP = "what a run of the workflow costs before it starts: GPU-hours, disk, what is shared"
DESCRIPTION = """\
Print the trainings, samplings and paintings that a configuration asks for: how many, how many steps, GPU-hours on a
named card, gigabytes of weights and of saved states. The numbers are calculated from the settings (docs/gpu.md), not
measured: expect ± 30 %. No data are read and nothing is written.

  cellscaper plan                                            # the papers' configuration on an A100
  cellscaper plan --configfile my.yaml --card h100 --gpus 4
  cellscaper plan --configfile my.yaml --config 'seeds=[0]'

The configuration is config.yaml with the overlays, as in the workflow; unknown keys and wrong values are errors. An
overlay alone lies over config.yaml: name the preset before it, if it belongs to one. Data sets that the workflow would
leave out, because nothing is given of them, are left out here too.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("--configfile", nargs="+", default=[], metavar="FILE", help="overlays of config.yaml, in order")
    parser.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="keys set after the overlays")
    parser.add_argument("--card", default="a100", metavar="NAME", help="a100 (default), h100, a6000 or l40s")
    parser.add_argument("--gpus", default="1", metavar="N", help="cards side by side (default 1)")


def run(args: argparse.Namespace) -> None:
    """Resolve the configuration, print the table."""
    from cellscaper.plan.cards import card
    from cellscaper.plan.configuration import given
    from cellscaper.plan.cost import Costs
    from cellscaper.plan.given_data import with_given_data
    from cellscaper.plan.outputs import Outputs

    on, gpus = card(args.card), options.whole(args.gpus, "--gpus", 1)
    files = [options.file(name, "--configfile") for name in args.configfile]
    command_line = _keys(args.config)
    whole = given(command_line, command_line, files)
    config, left_out = with_given_data(whole)
    costs = Costs(Outputs(config), on)
    try:
        lines = [*over(files), *table(costs, gpus), *without(whole, left_out, on)]
    except OverflowError:
        raise CellscaperError("the configuration has numbers too large to calculate with; give smaller ones") from None
    print("\n".join(lines))


def _keys(texts: list[str]) -> dict[str, object]:
    """``KEY=VALUE`` with values in YAML."""
    import yaml

    found: dict[str, object] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key or key in found:
            raise CellscaperError(f"--config {text!r}: expected KEY=VALUE, each key once")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise CellscaperError(f"--config {text!r}: the value is not YAML ({str(error).splitlines()[0]})") from None
    return found


def over(files: "Sequence[Path]") -> list[str]:
    """Which files make the configuration."""
    layers = ["config.yaml (the papers' run)", *map(str, files)]
    return _wrapped(f"Configuration: {', under '.join(layers)}", "", "  ")


def without(whole: "Config", left_out: "Mapping[str, str]", on: "Card") -> list[str]:
    """Why data sets are left out, and what each would add."""
    from cellscaper.plan.cost import Costs
    from cellscaper.plan.outputs import Outputs

    lines = []
    for name, why in left_out.items():
        alone = Costs(Outputs({**whole, "run": {**whole["run"], "datasets": [name]}}), on)
        lines.append(f"{name} is left out: {why}; it would add {_number(alone.hours / 24)} {on.title}-days")
    return [part for line in lines for part in _wrapped(line, "", "  ")]


def table(costs: "Costs", gpus: int) -> list[str]:
    """The lines of the table, at most WIDTH characters each."""
    lines = [f"Calculated for one {costs.on.title} ({costs.on.memory} GB), not measured; ± 30 % (docs/gpu.md)", ""]
    for dataset in costs.config["run"]["datasets"]:
        lines.append(_columns(dataset, "", "jobs", "steps", "GPU-hours", "weights", "state"))
        groups = [group for group in costs.groups if group.dataset == dataset]
        for group in groups:
            lines += [_row(group), _names(group.names)]
        lines += [""] if groups else ["  nothing takes GPU time", ""]
    return [*lines, *_sharing(costs), *_sums(costs, gpus), *_not_counted(costs)]


def _row(group: "Group") -> str:
    from cellscaper.plan.cost import TRAININGS

    hours = f"{group.hours:.1f}" if group.hours >= 0.05 else "< 0.1"
    kept = _size(group.kept) if group.rule in TRAININGS else ""
    return _columns(
        f"  {group.rule}",
        group.what,
        str(group.jobs),
        spaced(group.steps) if group.steps else "",
        hours,
        kept,
        _size(group.state),
    )


def _columns(left: str, what: str, jobs: str, steps: str, hours: str, kept: str, state: str) -> str:
    return f"{left:<18}{what:<28}{jobs:>6}{steps:>11}{hours:>12}{kept:>12}{state:>12}".rstrip()


def _names(names: Sequence[str]) -> str:
    """One line of names, as many as fit, and the number of the others."""
    shown = list(names)
    while shown:
        more = f" and {len(names) - len(shown)} more" if len(shown) < len(names) else ""
        line = f"    {', '.join(shown)}{more}"
        if len(line) <= WIDTH:
            return line
        shown.pop()
    return f"    {len(names)} names"


def _sharing(costs: "Costs") -> list[str]:
    shared = [f"the weights of {name} serve {', '.join(others)}" for name, others in costs.shared()]
    return [line for text in shared for line in _wrapped(text, "", "  ")] + ([""] if shared else [])


def _sums(costs: "Costs", gpus: int) -> list[str]:
    from cellscaper.plan.cards import UNCERTAINTY
    from cellscaper.plan.cost import TRAININGS

    days = costs.hours / 24
    low, high = days * (1 - UNCERTAINTY), days * (1 + UNCERTAINTY)
    at_once = max(days / gpus, costs.longest / 24)
    state, images = max((group.state for group in costs.groups), default=0.0), costs.kept("paint_images")
    parts = [f"{_size(costs.kept(*TRAININGS))} of weights in the end"] if costs.kept(*TRAININGS) else []
    if state:
        parts.append(f"up to {_size(state)} of state for each running training, twice as much while it saves")
    if images:
        parts.append(f"{_size(images)} of images before compression")
    disk = f"disk: {'; '.join(parts)}" if parts else "disk: little"
    return [
        f"sum: {_number(days)} {costs.on.title}-days ({_number(low)} to {_number(high)}), "
        f"{_number(costs.hours)} GPU-hours",
        f"with {gpus} {'card' if gpus == 1 else 'cards'}: at least {_duration(at_once)}; "
        f"the longest chain of jobs takes {_duration(costs.longest / 24)}",
        *_wrapped(disk, "", "  "),
    ]


def _not_counted(costs: "Costs") -> list[str]:
    lines = [f"not counted: {what} ({jobs} jobs)" for what, jobs in costs.unknown.items()]
    if costs.config["sets"]:
        lines.append(f"not counted: the generated sets {', '.join(costs.config['sets'])} (docs/large-sets.md)")
    lines.append(
        "not counted: downloads, densities, generators without training, detect_cells, scores, tables, figures, "
        "report (minutes a job, most on CPUs)"
    )
    return [part for line in lines for part in _wrapped(line, "", "  ")]


def _wrapped(text: str, first: str, rest: str | None = None) -> list[str]:
    import textwrap

    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=first if rest is None else rest, break_on_hyphens=False
    )


def _number(days: float) -> str:
    """``201.2``, ``0.014``; at least 0.001."""
    return f"{days:.1f}" if days >= 1 else f"{max(days, 0.001):.2g}" if days else "0"


def _duration(days: float) -> str:
    """``2.4 days``, ``17.8 hours`` or ``5 minutes``, at least 1."""
    if days >= 1:
        return f"{days:.1f} days"
    if days >= 1 / 24:
        return f"{24 * days:.1f} hours"
    minutes = max(math.ceil(1440 * days), 1)
    return f"{minutes} minute{'s' if minutes > 1 else ''}"


def _size(number: float) -> str:
    """Bytes as ``8.9 GB`` or ``20 MB``; nothing for 0."""
    if number >= 1e9:
        return f"{number / 1e9:.1f} GB" if number < 1e11 else f"{number / 1e9:.0f} GB"
    return f"{max(number / 1e6, 1):.0f} MB" if number else ""
