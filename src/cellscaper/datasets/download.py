"""Safe downloads: resumed, retried, checked by SHA-256; archives are unpacked with path checks."""

import errno
import http.client
import os
import shutil
import ssl
import stat
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from cellscaper.disk.files import checksum
from cellscaper.errors import CellscaperError
from cellscaper.run.progress import Progress

_CHUNK = 1 << 18
_LASTING = {401, 403, 404, 405, 410}  # HTTP answers that another attempt does not change


@dataclass(frozen=True)
class RemoteFile:
    """A file to download: its URL, SHA-256 (hexadecimal) and path below the destination, with ``/``."""

    url: str
    sha256: str
    path: str


class _BrokenError(Exception):
    """A failed attempt; ``lasting`` if another attempt would fail as well."""

    def __init__(self, reason: str, lasting: bool = False):
        super().__init__(reason)
        self.lasting = lasting


def local_folder(path: str, manual: str) -> Path:
    """The folder of a dataset's setting ``path``, in which ``~`` is the home folder.

    CellscaperError, with the ``manual`` way to get the data, if it is not a folder.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise CellscaperError(f"dataset path {folder} is not a folder; {manual}")
    return folder


# -- files ---------------------------------------------------------------------------------------------------


def fetch_files(
    files: Sequence[RemoteFile],
    destination: Path,
    manual: str,
    retries: int = 5,
    backoff: float = 1.0,
    timeout: float = 30.0,
) -> None:
    """Download ``files`` below ``destination``; correct files that are already there are kept.

    An interrupted file stays as ``.<name>.partial`` and is resumed, now or in a later run; a file gets its
    final name only after its checksum was verified. After attempt k there is a pause of ``backoff``·2^k
    seconds. CellscaperError after ``retries`` repeated attempts, with the URL and the ``manual`` way.
    """
    with Progress(len(files), "download") as progress:
        for file in files:
            target = destination / _safe(file.path, "download list")
            if not (target.is_file() and checksum(target) == file.sha256):
                _fetch(file, target, manual, retries, backoff, timeout)
            progress.update()


def _fetch(file: RemoteFile, target: Path, manual: str, retries: int, backoff: float, timeout: float) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    for attempt in range(retries + 1):
        try:
            _attempt(file, partial, timeout)
        except _BrokenError as broken:
            if broken.lasting or attempt == retries:
                raise CellscaperError(
                    f"cannot download {file.url}: {broken} (attempt {attempt + 1}); "
                    f"put the file at {target} yourself, or {manual}"
                ) from broken
            time.sleep(backoff * 2**attempt)
        else:
            os.replace(partial, target)
            return


def _attempt(file: RemoteFile, partial: Path, timeout: float) -> None:
    """Complete ``partial`` and verify it, or raise _BrokenError; a partial with a wrong checksum is deleted."""
    try:
        _transfer(file.url, partial, timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the partial is as long as the file, or longer
            partial.unlink(missing_ok=True)
        raise _BrokenError(f"HTTP {error.code} {error.reason}", error.code in _LASTING) from error
    except urllib.error.URLError as error:
        raise _BrokenError(str(error.reason)) from error
    except (ValueError, http.client.InvalidURL) as error:
        raise _BrokenError(str(error), lasting=True) from error
    except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        raise _BrokenError(str(error) or type(error).__name__) from error
    found = checksum(partial)
    if found != file.sha256:
        partial.unlink()
        raise _BrokenError(f"SHA-256 {found}, expected {file.sha256}")


def _transfer(url: str, partial: Path, timeout: float) -> None:
    """Append the missing bytes of ``url`` to ``partial``; start again if the server sends the whole file."""
    if not url.startswith(("https://", "http://")):
        raise ValueError("not an http or https address")
    have = partial.stat().st_size if partial.exists() else 0
    headers = {"User-Agent": "cellscaper", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout) as response:
        resumed = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if response.status != 200 and not resumed:
            raise ConnectionError(f"unexpected answer HTTP {response.status}")
        with open(partial, "ab" if resumed else "wb") as out:
            shutil.copyfileobj(response, out, _CHUNK)
            end = out.tell()
    expected = response.headers.get("Content-Length")
    if expected is not None and end - (have if resumed else 0) < int(expected):
        raise ConnectionError(f"connection cut after {end} bytes")


# -- archives ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Member:
    """A regular file in an archive; ``open`` gives its bytes."""

    path: PurePosixPath
    size: int
    open: Callable[[], IO[bytes] | None]


def unpack(archive: Path, destination: Path, limit: int = 20 << 30) -> None:
    """Unpack a zip or tar archive into the new folder ``destination``, which appears only when it is complete.

    CellscaperError for a member with an absolute path, ``..``, a link or a device, for more than ``limit``
    bytes in all, and for a damaged archive.
    """
    if destination.exists():
        raise CellscaperError(f"{destination} exists already; delete it to unpack {archive} again")
    if not archive.is_file():
        raise CellscaperError(f"archive {archive} does not exist; download it first")
    partial = destination.with_name(f".{destination.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        _extract(archive, partial, limit)
        os.replace(partial, destination)
    except Exception as error:  # decompressors raise any exception on damaged bytes, also EINVAL for a wrong seek
        if isinstance(error, CellscaperError) or getattr(error, "errno", None) not in (None, errno.EINVAL):
            raise
        reason = str(error).split("\n")[0] or type(error).__name__
        raise CellscaperError(f"archive {archive} is damaged ({reason}); download it again") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _extract(archive: Path, folder: Path, limit: int) -> None:
    total = 0
    for member in _members(archive):
        total += max(member.size, 512)  # an empty file costs disk, too
        if total > limit:
            raise CellscaperError(f"archive {archive} unpacks to more than {limit} bytes; nothing was unpacked")
        target = folder / member.path
        source = member.open()
        assert source is not None  # tarfile gives None only for members that are no regular files
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            out = open(target, "xb")  # noqa: SIM115 (closed below)
        except (FileExistsError, NotADirectoryError) as error:
            raise CellscaperError(f"archive {archive}: {str(member.path)!r} is there twice; refused") from error
        with source, out:
            shutil.copyfileobj(source, out, _CHUNK)


def _members(archive: Path) -> Iterator[_Member]:
    """The regular files of a zip or tar archive, in its order; folders are left out."""
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tar:
            for entry in tar:
                if not (entry.isfile() or entry.isdir()):
                    raise CellscaperError(f"archive {archive}: {entry.name!r} is a link or device; refused")
                path = _safe(entry.name, archive)
                if entry.isfile():
                    yield _Member(path, entry.size, lambda entry=entry: tar.extractfile(entry))  # type: ignore[misc]
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise CellscaperError(f"archive {archive}: {info.filename!r} is a link or device; refused")
                path = _safe(info.filename, archive)
                if not info.is_dir():
                    yield _Member(path, info.file_size, lambda info=info: packed.open(info))  # type: ignore[misc]
    else:
        raise CellscaperError(f"{archive} is not a zip or tar archive")


def _safe(name: str, source: Path | str) -> PurePosixPath:
    """A member's relative path; CellscaperError if it leads out of the folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or any(":" in part or "\0" in part for part in path.parts):
        raise CellscaperError(f"{source}: path {name!r} leads out of the folder; refused")
    return path
