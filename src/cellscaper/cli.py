"""The `cellscaper` command. A subcommand is a module in `commands/` and a line here.

Such a module has `HELP` (one line), `DESCRIPTION`, `arguments(parser)` and `run(args)`, and imports anything heavy
inside `run`, so that `--help` is quick. Bad input ends with one line and exit status 1, nothing half-written.
"""

import argparse
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn, Protocol

from cellscaper.commands import check, convert, envelope, generate, paint, plan
from cellscaper.errors import CellscaperError
from cellscaper.run import stage


class Command(Protocol):
    """A subcommand: see the module's docstring."""

    HELP: str
    DESCRIPTION: str

    def arguments(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, args: argparse.Namespace) -> None: ...


COMMANDS: dict[str, Command] = {
    "check": check,
    "generate": generate,
    "convert": convert,
    "paint": paint,
    "envelope": envelope,
    "plan": plan,
}


class Parser(argparse.ArgumentParser):
    """An ArgumentParser with one-line errors, like all errors of the package."""

    def error(self, message: str) -> NoReturn:
        raise CellscaperError(f"{message}; see {self.prog} --help")


def parser() -> Parser:
    """The whole command line."""
    main = Parser(
        "cellscaper", description="Layouts of cells: generate, paint, convert, test, check; the cost of a run."
    )
    main.add_argument("--version", action="version", version=f"cellscaper {_version()}")
    commands = main.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        layout = argparse.RawDescriptionHelpFormatter
        one = commands.add_parser(
            name, help=command.HELP, description=command.DESCRIPTION, formatter_class=layout, allow_abbrev=False
        )
        command.arguments(one)
        one.set_defaults(run=command.run)
    return main


def call(argv: Sequence[str] | None = None) -> None:
    """Run one command line; CellscaperError if that is impossible."""
    args = parser().parse_args(argv)
    args.run(args)


def main() -> None:
    """The console script: exit status 0, or 1 with one line on standard error."""
    stage.run(call)


def _version() -> str:
    try:
        return version("cellscaper")
    except PackageNotFoundError:
        return "not installed"
