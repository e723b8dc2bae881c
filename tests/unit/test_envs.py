"""The environments hold together: what the code imports is declared, what is declared is pinned, pins agree."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA = yaml.safe_load((REPOSITORY / "envs" / "cellscaper.yaml").read_text(encoding="utf-8"))
DISTRIBUTION = {
    "xdist": "pytest-xdist",
    "PIL": "pillow",
    "ot": "pot",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}  # by module
CONSTRAINTS = (REPOSITORY / "envs" / "constraints.txt").read_text(encoding="utf-8").splitlines()


def linux(python):
    return {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "os_name": "posix",
        "extra": "",
    }


def pins(lines, python):
    """{package: version} of the lines that apply to a Python on Linux."""
    found = {}
    for line in lines:
        text = line.split("#")[0].strip()
        if not text or text.startswith("-"):
            continue
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(linux(python)):
            name, specifiers = canonicalize_name(requirement.name), list(requirement.specifier)
            assert len(specifiers) == 1 and specifiers[0].operator == "==", f"{text} pins no version"
            assert name not in found, f"{name} is pinned twice for Python {python}"
            found[name] = specifiers[0].version
    return found


def conda_pins():
    pip = next(part["pip"] for part in CONDA["dependencies"] if isinstance(part, dict))
    return pins(pip, conda_python())


def conda_python():
    return next(part.split("=")[1] for part in CONDA["dependencies"] if str(part).startswith("python="))


def declared(*groups):
    extras = [line for group in groups for line in PROJECT["optional-dependencies"][group]]
    return [Requirement(line) for line in [*PROJECT["dependencies"], *extras]]


def test_the_conda_environment_pins_the_projects_dependencies_and_no_others():
    assert set(conda_pins()) == {canonicalize_name(one.name) for one in declared()}


def test_the_conda_environment_pins_the_versions_of_the_constraints():
    constraints = pins(CONSTRAINTS, conda_python())
    assert conda_pins() == {name: constraints[name] for name in conda_pins()}


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_constraints_pin_all_dependencies_at_versions_the_project_allows(python):
    constraints = pins(CONSTRAINTS, python)
    for one in declared("slurm", "dev", "oracles"):
        name = canonicalize_name(one.name)
        assert name in constraints, f"{name} is not pinned"
        assert one.specifier.contains(Version(constraints[name]), prereleases=True), f"{one} is not {constraints[name]}"


def test_the_conda_environments_python_is_one_the_project_allows():
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(f"{conda_python()}.0")


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["src", "tests"])
def test_every_package_that_is_imported_is_declared(folder):
    groups = {"src": ["geodesic", "imagenet"], "tests": ["dev", "oracles"]}[folder]
    names = {canonicalize_name(one.name) for one in declared(*groups)}
    own = {"cellscaper", "tests", *(file.stem for file in (REPOSITORY / "tests").glob("*.py"))}
    for path in sorted((REPOSITORY / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module or ""]
            else:
                continue
            for module in {name.split(".")[0] for name in modules} - sys.stdlib_module_names - own:
                name = canonicalize_name(DISTRIBUTION.get(module, module))
                assert name in names, f"{path.name} imports {module}, which pyproject.toml does not declare"
