"""The state of a user's folder: what changes its digest, and what cannot break it."""

import os
from pathlib import Path

import pytest

from cellscaper.plan import folders


@pytest.fixture
def state():
    return folders.folder_state.__wrapped__  # without the cache: files change here


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "below").mkdir()
    for name in ("a.txt", "b.txt", "below/c.txt"):
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize("most", [folders.HASHED, 1])
def test_names_and_contents_make_the_state(state, folder, monkeypatch, most):
    monkeypatch.setattr(folders, "HASHED", most)
    found = [state(str(folder))]
    assert state(str(folder)) == found[0]
    (folder / "below/c.txt").write_text("other text")
    found.append(state(str(folder)))
    (folder / "a.txt").rename(folder / "d.txt")
    found.append(state(str(folder)))
    (folder / "b.txt").unlink()
    found.append(state(str(folder)))
    assert len(set(found)) == len(found)


def test_a_copy_is_no_change_but_of_a_large_folder(state, folder, monkeypatch):
    before = state(str(folder))
    os.utime(folder / "a.txt", (1, 1))
    assert state(str(folder)) == before
    monkeypatch.setattr(folders, "HASHED", 1)
    before = state(str(folder))
    os.utime(folder / "a.txt", (2, 2))
    assert state(str(folder)) != before


def test_a_file_that_vanishes_while_it_is_looked_at_is_left_out(state, folder, monkeypatch):
    is_file = Path.is_file

    def vanish(path):
        found = is_file(path)
        if path.name == "b.txt":
            path.unlink(missing_ok=True)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(Path, "is_file", vanish)
        found = state(str(folder))
    assert not (folder / "b.txt").exists() and found == state(str(folder))


def test_a_folder_that_vanishes_before_it_is_listed_is_left_out(state, folder, monkeypatch):
    scandir = os.scandir

    def vanish(path):
        if Path(path).name == "below" and Path(path).exists():
            (folder / "below/c.txt").unlink()
            (folder / "below").rmdir()
        return scandir(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", vanish)
        found = state(str(folder))
    assert not (folder / "below").exists() and found == state(str(folder))


def test_a_dangling_link_is_no_file(state, folder):
    before = state(str(folder))
    (folder / "link").symlink_to(folder / "nowhere")
    assert state(str(folder)) == before
