"""One walk of a folder finds what is read and what is watched."""

import os

from cellscaper.datasets.folder_files import FolderFiles
from cellscaper.disk.walk import walk
from cellscaper.plan.folders import folder_state


def names(folder):
    return [str(path.relative_to(folder)) for path in walk(folder)]


def test_links_are_followed_once_and_circles_end(tmp_path):
    (tmp_path / "far/deep").mkdir(parents=True)
    (tmp_path / "far/deep/a").write_text("a")
    (tmp_path / "here").mkdir()
    os.symlink(tmp_path / "far", tmp_path / "here/link")
    os.symlink(tmp_path / "far", tmp_path / "here/zweite")
    os.symlink(tmp_path / "here", tmp_path / "far/circle")
    os.symlink(tmp_path / "far/deep/a", tmp_path / "here/file")
    os.symlink(tmp_path / "nothing", tmp_path / "here/broken")
    assert names(tmp_path / "here") == ["broken", "file", "link/deep/a"]
    assert names(tmp_path / "none") == []


def test_what_is_read_behind_a_link_is_watched(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far/a.csv").write_text("1")
    (tmp_path / "here").mkdir()
    os.symlink(tmp_path / "far", tmp_path / "here/link")
    assert list(FolderFiles(tmp_path / "here").paths) == ["link/a.csv"]
    before = folder_state(str(tmp_path / "here"))
    (tmp_path / "far/a.csv").write_text("2")
    folder_state.cache_clear()
    assert folder_state(str(tmp_path / "here")) != before


def test_names_that_are_not_utf8_are_apart(tmp_path):
    (tmp_path / os.fsdecode(b"\xff.png")).write_bytes(b"")
    (tmp_path / "a.png").write_bytes(b"")
    files = FolderFiles(tmp_path)
    assert list(files.paths) == ["a.png"] and len(files.odd) == 1


def test_globs_stop_at_folders_and_brackets_can_be_literal(tmp_path):
    for name in ("a/x.png", "a/b/x.png", "a [1]/x.png", "y.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    files = FolderFiles(tmp_path)
    assert files.matching(["*.png"]) == ["y.png"]
    assert files.matching(["a/*.png"]) == ["a/x.png"]
    assert files.matching(["**/x.png"]) == ["a [1]/x.png", "a/b/x.png", "a/x.png"]
    assert files.matching(["a [[]1]/?.p[nm]g"]) == ["a [1]/x.png"]
    assert files.matching(["**"]) == sorted(files.paths)
