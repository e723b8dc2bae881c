import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cellscaper.datasets import images
from cellscaper.datasets.images import read_rgb
from cellscaper.errors import CellscaperError


@pytest.fixture
def rgb() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (7, 11, 3), np.uint8)


def write_png(path: Path, depth: int, colour: int, rows: bytes, width: int, height: int) -> None:
    """A PNG by hand: Pillow cannot write 16-bit RGB."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    parts = [struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_pixels_are_read_as_written(tmp_path: Path, rgb: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"a_0.98.{suffix}"
    Image.fromarray(rgb).save(path)
    found = read_rgb(path)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, rgb)


def test_png_by_hand_is_read(tmp_path: Path, rgb: np.ndarray) -> None:
    write_png(tmp_path / "a.png", 8, 2, b"".join(b"\0" + row.tobytes() for row in rgb), 11, 7)
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), rgb)


def test_opaque_alpha_is_dropped_and_transparency_refused(tmp_path: Path, rgb: np.ndarray) -> None:
    rgba = np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), rgb)
    rgba[3, 4, 3] = 254
    Image.fromarray(rgba).save(tmp_path / "b.png")
    with pytest.raises(CellscaperError, match=r"b\.png is partly transparent"):
        read_rgb(tmp_path / "b.png")


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA", "I;16", "CMYK"])
def test_other_kinds_are_refused(tmp_path: Path, rgb: np.ndarray, mode: str) -> None:
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image = Image.fromarray(rgb[..., 0].astype(np.uint16)) if mode == "I;16" else Image.fromarray(rgb).convert(mode)
    image.save(path)
    with pytest.raises(CellscaperError, match="expected 8-bit RGB"):
        read_rgb(path)


def test_sixteen_bit_rgb_is_refused(tmp_path: Path, rgb: np.ndarray) -> None:
    deep = rgb.astype(">u2") * 257
    write_png(tmp_path / "a.png", 16, 2, b"".join(b"\0" + row.tobytes() for row in deep), 11, 7)
    with pytest.raises(CellscaperError, match="16-bit RGB, expected 8-bit"):
        read_rgb(tmp_path / "a.png")


def test_a_huge_image_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for side in (12_000, 60_000):  # above our limit; above Pillow's own
        write_png(tmp_path / "a.png", 8, 2, b"", side, side)
        with pytest.raises(CellscaperError, match=r"pixels; cut it"):
            read_rgb(tmp_path / "a.png")
    monkeypatch.setattr(images, "MAX_PIXELS", 5)
    Image.new("RGB", (2, 3)).save(tmp_path / "b.png")
    with pytest.raises(CellscaperError, match=r"b\.png has 3×2 px, more than 5 pixels"):
        read_rgb(tmp_path / "b.png")


def test_missing_file_and_other_content_are_told(tmp_path: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("no image")
    (tmp_path / "empty.png").touch()
    cases = {"none.png": "does not exist", "text.png": "not an image", "empty.png": "not an image", ".": "not exist"}
    for name, message in cases.items():
        with pytest.raises(CellscaperError, match=message):
            read_rgb(tmp_path / name)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of Pillow, about what it skips
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_damaged_files_never_raise_anything_else(tmp_path: Path, rgb: np.ndarray, suffix: str) -> None:
    good = tmp_path / f"good.{suffix}"
    Image.fromarray(rgb).save(good)
    content = good.read_bytes()
    bad, rng, refused = tmp_path / f"bad.{suffix}", np.random.default_rng(1), 0
    for cut in range(0, len(content), 5):
        flipped = bytearray(content)
        flipped[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
        for damaged in (content[:cut], bytes(flipped)):
            bad.write_bytes(damaged)
            try:
                assert read_rgb(bad).dtype == np.uint8
            except CellscaperError as error:
                assert "\n" not in str(error)
                refused += 1
    assert refused > len(content) // 10


def test_a_truncated_png_is_refused(tmp_path: Path, rgb: np.ndarray) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(rgb).save(path)
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(CellscaperError, match="truncated or damaged"):
        read_rgb(path)
