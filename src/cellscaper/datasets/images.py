"""Reading of RGB images. Other images end with a one-line error; they are never converted silently."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from cellscaper.errors import CellscaperError

MAX_PIXELS = 100_000_000


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """An 8-bit RGB image file as (H, W, 3) uint8.

    An alpha channel is dropped if it is opaque everywhere. CellscaperError for a file that is missing,
    truncated, no image, of more than ``MAX_PIXELS`` pixels, 16-bit, grey, palette or CMYK.
    """
    if not path.is_file():
        raise CellscaperError(f"image {path} does not exist; check the file and the dataset's path in the config")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                _check_kind(image, path)
                pixels = np.array(image)
    except Image.DecompressionBombError as error:
        raise CellscaperError(f"image {path} has over {MAX_PIXELS} pixels; cut it into regions") from error
    except UnidentifiedImageError as error:
        raise CellscaperError(f"{path} is not an image that Pillow can read; expected an 8-bit RGB image") from error
    except PermissionError as error:
        raise CellscaperError(f"image {path} cannot be read: {error.strerror}") from error
    except CellscaperError:
        raise
    except Exception as error:  # a decoder may raise any exception on damaged bytes
        reason = str(error).split("\n")[0] or type(error).__name__
        raise CellscaperError(f"image {path} is truncated or damaged ({reason}); get the file again") from error
    return _without_alpha(pixels, path)


def _check_kind(image: Image.Image, path: Path) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise CellscaperError(
            f"image {path} has {height}×{width} px, more than {MAX_PIXELS} pixels; cut it into regions"
        )
    # Pillow opens 16-bit RGB as mode RGB and drops the low byte; only the decoder's raw mode shows it.
    if image.mode not in ("RGB", "RGBA") or any("16" in str(tile.args) for tile in getattr(image, "tile", [])):
        kind = image.mode if image.mode not in ("RGB", "RGBA") else "16-bit " + image.mode
        raise CellscaperError(f"image {path} is {kind}, expected 8-bit RGB; convert it")


def _without_alpha(pixels: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
    if pixels.shape[2] == 4 and (pixels[..., 3] != 255).any():
        raise CellscaperError(f"image {path} is partly transparent, expected opaque RGB; flatten it on its background")
    return np.ascontiguousarray(pixels[..., :3])
