"""What pages, docstrings and comments cite is there: pages, their sections, files, modules, commands and their flags.

What a run makes is no citation: paths below ``results/``, and those with a place to fill in (``<table>``, ``{stem}``,
``…``). Neither are the reader's own files: those named my… or mine…, and one that a page has the reader write, after
the words "new file". The changelog names what was.
"""

import argparse
import ast
import io
import re
import tokenize
from functools import cache
from pathlib import Path

import pytest

from cellscaper import cli

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src/cellscaper"
HOMES = (ROOT, PACKAGE, ROOT / "workflow", ROOT / "tests")  # what a path may be relative to, beside its own folder
# programs that are not ours: what their own manuals say
FOREIGN = {
    "pip": "--no-build-isolation",
    "sbatch": "--exclusive --gpus --gres --qos --signal",
    "snakedeploy": "--tag",
    "squeue": "--me",
    "tensorboard": "--logdir",
}

PAGE = re.compile(r"(?<![\w/.*>…-])((?:\.\./)*(?:[\w-]+/)*[\w-]+\.md)\b(?:,? sections? (\d+(?:\.\d+)*))?")
LINK = re.compile(r"\]\((?!\w+://)([^)#\s]*)(?:#([\w-]+))?\)")
FILE = re.compile(r"(?<![\w/.~<>{}*…-])((?:[\w.-]+/)*[\w*-]+\.(?:py|smk|yaml))\b(?![\w/])")
FOLDER = re.compile(r"(?<![\w/.~-])((?:src|docs|tests|workflow|benchmarks|envs)(?:/[\w-]+)+)/?(?![\w.<{*…-])")
CSV = re.compile(r"(?<![\w/.<{*…-])\w+\.csv\b")
MODULE = re.compile(r"\bcellscaper(?:\.[A-Za-z_]\w*)+")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")
MADE = re.compile(r"^(?:results|\.snakemake|\.venv)/|^(?:my|mine)\b|[<{…]")


# -- what there is ---------------------------------------------------------------------------------------------


@cache
def repository() -> frozenset[str]:
    """Files at the root and in its folders of sources and pages, as paths from the root."""
    folders = [ROOT / name for name in (".ci", "benchmarks", "docs", "envs", "src/cellscaper", "tests", "workflow")]
    files = [*ROOT.iterdir(), *(file for folder in folders for file in folder.rglob("*"))]
    return frozenset(str(file.relative_to(ROOT)) for file in files if file.is_file() and file.suffix != ".pyc")


@cache
def headings(page: Path) -> tuple[set[str], set[str]]:
    """The numbers of a page's numbered sections, and the anchors of all."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL), re.M)
    numbers = {found[1] for title in titles if (found := re.match(r"(\d+(?:\.\d+)*) ", title))}
    return numbers, {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@cache
def made_tables() -> set[str]:
    """The CSV files that runs make, by the page of files."""
    return set(re.findall(r"\w+\.csv", (ROOT / "docs/files.md").read_text(encoding="utf-8")))


def flags_of(text: str) -> set[str]:
    return set(FLAG.findall(text))


@cache
def own_flags() -> dict[str, set[str]]:
    """The flags of each command of `cellscaper`, of each benchmark and of each script in docs/, by name."""
    flags = {}
    for name, command in cli.COMMANDS.items():
        parser = argparse.ArgumentParser()
        command.arguments(parser)
        flags[f"cellscaper {name}"] = flags_of(parser.format_help())
    for file in [*ROOT.glob("benchmarks/*.py"), *ROOT.glob("docs/*.py")]:
        source = file.read_text(encoding="utf-8")
        flags[f"{file.parent.name}/{file.name}"] = flags_of(" ".join(re.findall(r'add_argument\("(--[\w-]+)"', source)))
    return flags


@cache
def all_flags() -> set[str]:
    """Own flags, those that the rules hand to stages, Snakemake's, and the few of other programs."""
    from snakemake.cli import get_argument_parser

    known = set().union(*own_flags().values()) | flags_of(cli.parser().format_help())
    known |= flags_of(" ".join(file.read_text(encoding="utf-8") for file in ROOT.glob("workflow/rules/*.smk")))
    return known | flags_of(get_argument_parser().format_help()) | flags_of(" ".join(FOREIGN.values()))


@cache
def make_words() -> set[str]:
    """Targets and variables of the Makefile."""
    source = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([\w./-]+):(?!=)", source, re.M)) | set(re.findall(r"^(\w+) \?=", source, re.M))


# -- what is cited ---------------------------------------------------------------------------------------------


def is_there(path: str, where: Path) -> bool:
    """Whether a cited path exists: beside the citing file, or from one of HOMES; a bare file name anywhere."""
    if "/" not in path and "*" not in path and any(Path(name).name == path for name in repository()):
        return True
    return any(any(home.glob(path)) if "*" in path else (home / path).exists() for home in (where.parent, *HOMES))


def module_is_there(dotted: str) -> bool:
    """Whether a dotted name is a module of the package, or a name that one defines or imports."""
    parts, place = dotted.split(".")[1:], PACKAGE
    while parts and (place / parts[0]).is_dir():
        place /= parts.pop(0)
    if parts and place.joinpath(f"{parts[0]}.py").exists():
        place /= f"{parts.pop(0)}.py"
    if not parts:
        return True
    source = (place if place.suffix else place / "__init__.py").read_text(encoding="utf-8")
    return re.search(rf"^(?:def|class) {parts[0]}\b|^{parts[0]}\b.*=|import .*\b{parts[0]}\b", source, re.M) is not None


def wrong_pages(text: str, where: Path) -> list[str]:
    complaints = []
    for match in PAGE.finditer(re.sub(r"\[[^\]]*\](?=\()", "", text)):
        page, section = match.groups()
        if MADE.search(page):
            continue
        found = next((home / page for home in (where.parent, ROOT) if (home / page).exists()), None)
        if found is None:
            complaints.append(f"no page {page}")
        elif section and section not in headings(found)[0]:
            complaints.append(f"{page} has no section {section}")
    for target, anchor in LINK.findall(text) if where.suffix == ".md" else ():
        goal = where.parent / target if target else where
        if not goal.exists():
            complaints.append(f"link to {target}, which is not there")
        elif anchor and anchor not in headings(goal)[1]:
            complaints.append(f"{target or where.name} has no heading #{anchor}")
    return complaints


def wrong_files(text: str, where: Path) -> list[str]:
    text = re.sub(r"new file `[^`]+`", "", text, flags=re.I)
    paths = FILE.findall(text) + FOLDER.findall(text)
    files = [path for path in paths if not MADE.search(path) and not is_there(path, where)]
    if where.suffix != ".md" and where.parent.name != "datasets":  # those speak of tables that come with the data, too
        files += [name for name in CSV.findall(text) if name not in made_tables()]
    return [f"no file {path}" for path in files] + [
        f"no module {name}" for name in MODULE.findall(text) if not module_is_there(name)
    ]


def wrong_flags(text: str) -> list[str]:
    complaints = [f"no flag {flag}" for flag in FLAG.findall(text) if flag not in all_flags()]
    for code in re.findall(r"^(.+)$", "\n".join(code_of(text)), re.M):
        for name, known in own_flags().items():
            if called := re.search(rf"(?<!\w){re.escape(name)}(?!\w)(.*?)(?:&&|\||;|#|$)", code):
                complaints += [f"{name} has no flag {flag}" for flag in FLAG.findall(called[1]) if flag not in known]
        if called := re.match(r"(?:\.venv/bin/)?cellscaper ([a-z]+)", code):
            complaints += [] if called[1] in cli.COMMANDS else [f"no command cellscaper {called[1]}"]
        if called := re.match(r"make ((?:[\w./-]+(?:=\S*)?\s*)+)", re.sub("'[^']*'", "", code)):
            words = [word.split("=")[0] for word in called[1].split()]
            complaints += [f"the Makefile has no {word}" for word in words if word not in make_words()]
    return complaints


def code_of(text: str) -> list[str]:
    """Code spans and the lines of fenced blocks."""
    fenced = re.findall(r"```[^\n]*\n(.*?)```", text, re.DOTALL)
    rest = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [line.strip() for block in fenced for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", rest)


def wrong(text: str, where: Path) -> list[str]:
    return wrong_pages(text, where) + wrong_files(text, where) + wrong_flags(text)


# -- where it is cited -----------------------------------------------------------------------------------------


def python_prose(source: str) -> str:
    """Docstrings and comments of a Python file."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(source)) if isinstance(node, holders)]
    return "\n\n".join(docs + comments)


def prose(file: Path) -> str:
    source = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        return python_prose(source)
    if file.suffix in (".md", ".yaml"):
        return source
    return "\n".join(re.findall(r'"""(.*?)"""', source, re.DOTALL) + re.findall(r"(?:^|\s)#(.*)$", source, re.M))


def citing() -> list[str]:
    kinds = (".md", ".py", ".smk", ".yaml", ".toml")
    named = ("Makefile", "Snakefile", "workflow/Snakefile", ".ci/run")
    return sorted(
        name
        for name in repository()
        if (name.endswith(kinds) or name in named) and name not in ("CHANGELOG.md", "tests/unit/test_citations.py")
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", citing())
def test_what_is_cited_is_there(name):
    file = ROOT / name
    assert wrong(prose(file), file) == []


def test_a_page_named_by_the_code_is_there():
    """Also where it stands in an error message."""
    lost = {
        (name, page)
        for name in citing()
        if name.endswith(".py") and not name.startswith("tests/")
        for page in re.findall(r"docs/[\w/-]+\.md", (ROOT / name).read_text(encoding="utf-8"))
        if not (ROOT / page).exists()
    }
    assert lost == set()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("as papers.md section 9 has it", "no page papers.md"),
        ("(docs/methods.md, section 99.1)", "docs/methods.md has no section 99.1"),
        ("[why](methods.md#of-nothing)", "methods.md has no heading #of-nothing"),
        ("[why](nowhere.md)", "link to nowhere.md, which is not there"),
        ("see `src/cellscaper/metrics/nothing.py`", "no file src/cellscaper/metrics/nothing.py"),
        ("the mixtures of density/nothing.py", "no file density/nothing.py"),
        ("an overlay, `workflow/presets/nothing.yaml`", "no file workflow/presets/nothing.yaml"),
        ("tests in tests/nowhere/ show it", "no file tests/nowhere"),
        (":func:`cellscaper.views.rasters.nothing`", "no module cellscaper.views.rasters.nothing"),
        ("`from cellscaper.nowhere import it`", "no module cellscaper.nowhere"),
        ("`--celsl` is unknown", "no flag --celsl"),
        ("`cellscaper generate --mpp 1`", "cellscaper generate has no flag --mpp"),
        ("```\npython benchmarks/seams.py --models x\n```", "benchmarks/seams.py has no flag --models"),
        ("`cellscaper bake`", "no command cellscaper bake"),
        ("`make cake`", "the Makefile has no cake"),
        ("```\nmake brca BRCA=1\n```", "the Makefile has no BRCA"),
    ],
)
def test_it_sees_what_is_not_there(text, complaint):
    assert complaint in wrong(text, ROOT / "docs/page.md")


def test_code_names_the_tables_that_runs_make():
    assert wrong("rows of log.csv, rows of losses.csv", PACKAGE / "stages/train_layout.py") == ["no file log.csv"]


@pytest.mark.parametrize(
    "text",
    [
        "docs/methods.md, section 1.2, and [decisions.md](decisions.md)",
        "`results/phantom/tables/tc_table1.md`, `tables/<table>.md`, `dots/{stem}.yaml`, `…/nothing.py`",
        "The new file `src/cellscaper/generators/clustered.py` is yours, and so are `mine.yaml` and my_folder.",
        "`workflow/presets/*.yaml`, gmm.py, density/em.py and src/cellscaper/density/",
        ":func:`cellscaper.views.rasters.rasterise` of :mod:`cellscaper.layouts`",
        "`cellscaper generate --counts a=1 --png p.png | less`, `snakemake --configfile x`, `make brca BRCA_M2C=data`",
        "a table\n|---|---|\n and a dash -- so",
    ],
)
def test_it_is_silent_about_what_is_there(text):
    assert wrong(text, ROOT / "docs/page.md") == []
