"""Nothing that is read can run code: no pickle in the sources, and loaders that take none."""

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("src", "workflow", "benchmarks")
MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "jsonpickle"}
NEVER = {
    "joblib.load",
    "joblib.dump",
    "pd.read_pickle",
    "pandas.read_pickle",
    "to_pickle",
    "yaml.unsafe_load",
    "yaml.full_load",
    "yaml.load_all",
    "eval",
    "exec",
    "np.fromregex",
    "os.system",
}
SAFE_LOADERS = {"yaml.SafeLoader", "yaml.CSafeLoader", "getattr(yaml, 'CSafeLoader', yaml.SafeLoader)"}
NEEDS = {  # call → the keyword and the value that makes it safe
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
    "np.save": ("allow_pickle", False),
}


def unsafe(tree):
    """What a module does that could read or write pickles, or run text."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(alias.name for alias in node.names)]
        if MODULES & {name.split(".")[0] for name in names}:
            yield f"line {node.lineno}: imports {', '.join(names)}"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in NEVER or called.split(".")[-1] in ("to_pickle", "read_pickle"):
                yield f"line {node.lineno}: calls {called}"
            if called == "yaml.load" and _loader(node) not in SAFE_LOADERS:
                yield f"line {node.lineno}: yaml.load without a safe Loader, written out"
            if called in NEEDS:
                keyword, value = NEEDS[called]
                given = {one.arg: one.value for one in node.keywords}
                if not (isinstance(given.get(keyword), ast.Constant) and given[keyword].value is value):
                    yield f"line {node.lineno}: {called} without {keyword}={value}"


def _loader(call):
    """The loader of a call of yaml.load, as text: its only keyword; None for what is given by place or by `**`."""
    if len(call.args) != 1 or [one.arg for one in call.keywords] != ["Loader"]:
        return None
    return ast.unparse(call.keywords[0].value)


@pytest.mark.slow
def test_the_sources_have_no_pickle():
    files = [file for folder in FOLDERS for file in (REPOSITORY / folder).rglob("*.py")]
    assert len(files) > 100
    found = {str(file): list(unsafe(ast.parse(file.read_text(encoding="utf-8")))) for file in files}
    assert {file: lines for file, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from dill import load",
        "import os, cloudpickle",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "np.load(f)",
        "np.load(f, allow_pickle=True)",
        "pd.read_pickle(f)",
        "frame.to_pickle(f)",
        "joblib.load(f)",
        "eval(x)",
        "yaml.load(f, Loader)",
        "yaml.load(f)",
        "yaml.load(f, Loader=Loader)",
        "yaml.load(f, yaml.SafeLoader)",
        "yaml.load(f, Loader=yaml.Loader)",
        "yaml.load(f, Loader=yaml.UnsafeLoader)",
        "yaml.load(f, Loader=yaml.CLoader)",
        "yaml.load(f, Loader=getattr(yaml, 'CLoader', yaml.SafeLoader))",
        "yaml.load(f, Loader=getattr(yaml, 'CSafeLoader', yaml.Loader))",
        "yaml.load(f, **how)",
        "yaml.unsafe_load(f)",
        "yaml.full_load(f)",
    ],
)
def test_the_scan_sees(source):
    assert list(unsafe(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "torch.load(f, weights_only=True)",
        "np.load(f, allow_pickle=False)",
        "json.load(f)",
        "yaml.safe_load(f)",
        "yaml.load(f, Loader=yaml.SafeLoader)",
        "yaml.load(f, Loader=getattr(yaml, 'CSafeLoader', yaml.SafeLoader))",
    ],
)
def test_the_scan_spares(source):
    assert not list(unsafe(ast.parse(source)))
