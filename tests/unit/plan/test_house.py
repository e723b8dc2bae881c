"""Where the workflow's files are: in a checkout, and in a package that pip installed."""

import ast
from pathlib import Path

import pytest

from cellscaper.plan import house

REPOSITORY = Path(__file__).resolve().parents[3]


def test_in_a_checkout_the_files_are_those_of_the_repository(tmp_path):
    assert house.ROOT == REPOSITORY
    assert house.code_folder(tmp_path) == REPOSITORY / "src"
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(house, "ROOT", house.INSTALLED)


def test_of_an_installed_package_a_folder_holds_the_package_alone(installed, tmp_path):
    for _ in range(2):  # the second time it is there
        folder = house.code_folder(tmp_path / "state")
        assert [path.name for path in folder.iterdir()] == ["cellscaper"]
        assert (folder / "cellscaper").resolve() == house.PACKAGE and folder.is_absolute()


def test_a_link_to_another_installation_is_renewed(installed, tmp_path):
    (tmp_path / "cellscaper-code").mkdir()
    (tmp_path / "cellscaper-code/cellscaper").symlink_to(tmp_path / "gone")
    assert (house.code_folder(tmp_path) / "cellscaper").resolve() == house.PACKAGE


def test_a_wheel_gets_all_files_that_planning_and_the_rules_read():
    tree = ast.parse((REPOSITORY / "setup.py").read_text(encoding="utf-8"))
    (names,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "HOUSE"
    ]
    assert set(names) == {"Snakefile", "config.yaml", "workflow", "envs"}
    assert all((REPOSITORY / name).exists() for name in names)
    manifest = (REPOSITORY / "MANIFEST.in").read_text(encoding="utf-8").split()
    assert set(names) <= set(manifest)  # a wheel may be made from a source distribution
