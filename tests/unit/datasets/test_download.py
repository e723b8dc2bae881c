import hashlib
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from cellscaper.datasets import download
from cellscaper.datasets.download import RemoteFile, fetch_files, unpack
from cellscaper.errors import CellscaperError

BODY = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves BODY at every path. Behaviour is set by the test, requests are kept."""

    body = BODY
    ranges = True  # whether it honours Range
    cut_after: int | None = None  # bytes of an answer after which it drops the connection
    length = True  # whether it tells Content-Length
    errors: list[int]  # HTTP errors of the next answers

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str | None]] = []
        self.errors = []

    def url(self, path: str = "a.bin") -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.requests.append((self.path, wanted))
        if self.server.errors:
            self.send_error(self.server.errors.pop(0))
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        body = self.server.body
        if start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if self.server.length:
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start:][: self.server.cut_after])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


def fetch(server: Server, folder: Path, sha256: str = SHA256, retries: int = 5, path: str = "sub/a.bin") -> Path:
    fetch_files([RemoteFile(server.url(), sha256, path)], folder, "set path", retries, backoff=0.001, timeout=5)
    return folder / path


def partial(folder: Path) -> Path:
    return folder / "sub" / ".a.bin.partial"


def test_files_arrive_whole_and_nothing_else_stays(server: Server, tmp_path: Path) -> None:
    assert fetch(server, tmp_path).read_bytes() == BODY
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.bin", "sub"]
    assert server.requests == [("/a.bin", None)]


def test_correct_files_are_kept_and_wrong_ones_replaced(server: Server, tmp_path: Path) -> None:
    target = fetch(server, tmp_path)
    fetch(server, tmp_path)
    assert len(server.requests) == 1
    target.write_bytes(BODY[:-1] + b"?")
    assert fetch(server, tmp_path).read_bytes() == BODY
    assert len(server.requests) == 2


def test_a_partial_file_is_resumed(server: Server, tmp_path: Path) -> None:
    partial(tmp_path).parent.mkdir()
    partial(tmp_path).write_bytes(BODY[:100_000])
    assert fetch(server, tmp_path).read_bytes() == BODY
    assert server.requests == [("/a.bin", "bytes=100000-")]


def test_a_server_without_ranges_makes_it_start_again(server: Server, tmp_path: Path) -> None:
    partial(tmp_path).parent.mkdir()
    partial(tmp_path).write_bytes(b"x" * 100_000)
    server.ranges = False
    assert fetch(server, tmp_path, retries=0).read_bytes() == BODY


def test_a_partial_of_something_else_is_thrown_away(server: Server, tmp_path: Path) -> None:
    partial(tmp_path).parent.mkdir()
    partial(tmp_path).write_bytes(b"x" * 100_000)
    assert fetch(server, tmp_path, retries=1).read_bytes() == BODY
    assert [wanted for _, wanted in server.requests] == ["bytes=100000-", None]


def test_a_partial_that_is_too_long_is_thrown_away(server: Server, tmp_path: Path) -> None:
    partial(tmp_path).parent.mkdir()
    partial(tmp_path).write_bytes(BODY + b"x")
    assert fetch(server, tmp_path, retries=1).read_bytes() == BODY


def test_cut_connections_are_continued_where_they_broke(server: Server, tmp_path: Path) -> None:
    server.cut_after = 80_000
    assert fetch(server, tmp_path, retries=3).read_bytes() == BODY
    assert [wanted for _, wanted in server.requests] == [None, "bytes=80000-", "bytes=160000-", "bytes=240000-"]


def test_a_cut_without_a_told_length_is_found_by_the_checksum(server: Server, tmp_path: Path) -> None:
    server.cut_after, server.length = 80_000, False
    with pytest.raises(CellscaperError, match=r"SHA-256 \w+, expected"):
        fetch(server, tmp_path, retries=2)


def test_what_came_before_giving_up_is_kept_for_the_next_run(server: Server, tmp_path: Path) -> None:
    server.cut_after = 80_000
    with pytest.raises(CellscaperError, match=r"connection cut after 160000 bytes \(attempt 2\)"):
        fetch(server, tmp_path, retries=1)
    assert not (tmp_path / "sub" / "a.bin").exists()
    assert partial(tmp_path).read_bytes() == BODY[:160_000]
    server.cut_after = None
    assert fetch(server, tmp_path, retries=0).read_bytes() == BODY


def test_a_wrong_checksum_is_not_retried_for_ever_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(CellscaperError) as caught:
        fetch(server, tmp_path, sha256="0" * 64, retries=3)
    for part in (server.url(), SHA256, "0" * 64, "attempt 4", str(tmp_path / "sub" / "a.bin"), "set path"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(server.requests) == 4
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(server: Server, tmp_path: Path) -> None:
    server.errors = [503, 429, 500]
    assert fetch(server, tmp_path, retries=3).read_bytes() == BODY
    server.errors = [404]
    with pytest.raises(CellscaperError, match=r"HTTP 404 Not Found \(attempt 1\)"):
        fetch(server, tmp_path / "new", retries=3)
    assert len(server.requests) == 5


def test_pauses_double(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(download.time, "sleep", pauses.append)
    server.errors = [503] * 9
    with pytest.raises(CellscaperError):
        fetch_files([RemoteFile(server.url(), SHA256, "a")], tmp_path, "", retries=3, backoff=0.5)
    assert pauses == [0.5, 1.0, 2.0]


def test_no_server_is_told(tmp_path: Path, server: Server) -> None:
    closed = RemoteFile("http://127.0.0.1:9/a", SHA256, "a")
    with pytest.raises(CellscaperError, match=r"cannot download http://127.0.0.1:9/a: .*\(attempt 2\)"):
        fetch_files([closed], tmp_path, "", retries=1, backoff=0.001)


@pytest.mark.parametrize("url", ["raw.example/a", "file:///etc/passwd", "http://127.0.0.1:1/a b", "http://[::1/a"])
def test_addresses_that_are_no_http_address_fail_at_once(tmp_path: Path, url: str) -> None:
    with pytest.raises(CellscaperError, match=r"\(attempt 1\)"):
        fetch_files([RemoteFile(url, SHA256, "a")], tmp_path, "", backoff=0.001)


@pytest.mark.parametrize("path", ["../a", "/a", "b/../../a", "C:\\a", "..\\a"])
def test_paths_out_of_the_destination_are_refused(server: Server, tmp_path: Path, path: str) -> None:
    with pytest.raises(CellscaperError, match="leads out of the folder"):
        fetch(server, tmp_path / "in", path=path)
    assert server.requests == []


# -- archives ------------------------------------------------------------------------------------------------

MEMBERS = {"top.txt": b"1", "Labels/a.mat": BODY[:5000], "Labels/deep/empty": b""}


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("folder")
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def make_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


MAKERS = pytest.mark.parametrize(("name", "make"), [("a.zip", make_zip), ("a.tar", make_tar), ("a.tar.gz", make_tar)])
Make = Callable[[Path, dict[str, bytes]], Path]


def nothing_left(folder: Path) -> bool:
    return sorted(p.name for p in folder.iterdir()) in (["a.zip"], ["a.tar"], ["a.tar.gz"])


@MAKERS
def test_an_archive_is_unpacked(tmp_path: Path, name: str, make: Make) -> None:
    unpack(make(tmp_path / name, MEMBERS), tmp_path / "out" / "data")
    root = tmp_path / "out" / "data"
    assert {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()} == MEMBERS
    assert [p.name for p in root.parent.iterdir()] == ["data"]


@MAKERS
@pytest.mark.parametrize("member", ["../evil", "/evil", "a/../../evil", "C:/evil", "a\\..\\..\\evil"])
def test_members_that_lead_out_are_refused(tmp_path: Path, name: str, make: Make, member: str) -> None:
    archive = make(tmp_path / name, {"good": b"1", member: b"2"})
    with pytest.raises(CellscaperError, match=r"evil' leads out of the folder; refused"):
        unpack(archive, tmp_path / "out")
    assert nothing_left(tmp_path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "/etc"
        archive.addfile(info)
    with pytest.raises(CellscaperError, match="'link' is a link or device"):
        unpack(tmp_path / "a.tar", tmp_path / "out")
    assert nothing_left(tmp_path)


def test_links_in_zip_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc")
    with pytest.raises(CellscaperError, match="'link' is a link or device"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert nothing_left(tmp_path)


@MAKERS
def test_more_bytes_than_the_limit_are_refused(tmp_path: Path, name: str, make: Make) -> None:
    archive = make(tmp_path / name, {f"{i}": bytes(100_000) for i in range(5)})
    with pytest.raises(CellscaperError, match="unpacks to more than 499999 bytes"):
        unpack(archive, tmp_path / "out", limit=499_999)
    assert nothing_left(tmp_path)
    unpack(archive, tmp_path / "out", limit=500_000)


@MAKERS
def test_countless_empty_files_are_refused(tmp_path: Path, name: str, make: Make) -> None:
    with pytest.raises(CellscaperError, match="unpacks to more than"):
        unpack(make(tmp_path / name, {f"{i}": b"" for i in range(100)}), tmp_path / "out", limit=10_000)


@MAKERS
def test_damaged_archives_give_one_line_and_leave_nothing(tmp_path: Path, name: str, make: Make) -> None:
    whole = make(tmp_path / name, MEMBERS).read_bytes()
    rng, refused = np.random.default_rng(3), 0
    for cut in range(0, len(whole), max(len(whole) // 40, 1)):
        flipped = bytearray(whole)
        flipped[int(rng.integers(len(whole)))] ^= 1 << int(rng.integers(8))
        for number, damaged in enumerate((whole[:cut], bytes(flipped))):
            (tmp_path / name).write_bytes(damaged)
            try:
                unpack(tmp_path / name, tmp_path / f"out{cut}-{number}")
            except CellscaperError as error:
                assert "\n" not in str(error)
                assert not (tmp_path / f"out{cut}-{number}").exists()
                refused += 1
    assert refused >= 20
    assert not [p for p in tmp_path.iterdir() if p.name.endswith(".partial")]


def test_a_zip_without_its_beginning_is_damaged(tmp_path: Path) -> None:
    whole = make_zip(tmp_path / "a.zip", MEMBERS).read_bytes()
    (tmp_path / "a.zip").write_bytes(whole[40:])  # its directory places members before the first byte
    with pytest.raises(CellscaperError, match="a.zip is damaged .*; download it again"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert nothing_left(tmp_path)


def test_the_same_member_twice_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("twice"))
    with pytest.raises(CellscaperError, match="'twice' is there twice"):
        unpack(tmp_path / "a.tar", tmp_path / "out")


def test_other_files_and_existing_folders_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("no archive")
    for archive, out, message in (
        ("a.zip", "out", "not a zip or tar archive"),
        ("none.zip", "out", "does not exist"),
        ("a.zip", ".", "exists already"),
    ):
        with pytest.raises(CellscaperError, match=message):
            unpack(tmp_path / archive, tmp_path / out)


def test_a_full_disk_is_not_called_a_damaged_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28), "disk")

    monkeypatch.setattr(download.shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space left"):
        unpack(make_zip(tmp_path / "a.zip", MEMBERS), tmp_path / "out")
    assert nothing_left(tmp_path)
