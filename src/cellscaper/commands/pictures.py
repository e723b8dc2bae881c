"""Arrays that a command line names: .npy files and images."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellscaper.errors import CellscaperError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def picture(path: Path, option: str, dimensions: int) -> "NDArray[np.float64]":
    """An array (height, width), or (maps, height, width) for 3 dimensions, from .npy or an image's brightness."""
    import numpy as np
    from PIL import Image

    kind = path.suffix.lower()
    if kind not in (".npy", ".png"):
        raise CellscaperError(f"{option} {path}: expected a .png or .npy file")
    try:
        if kind == ".npy":
            array: Any = np.load(path, allow_pickle=False)
        else:
            with Image.open(path) as image:
                array = np.asarray(image.convert("L") if image.mode not in ("1", "L", "I", "I;16", "F") else image)
        array = np.asarray(array, np.float64)
    except (OSError, ValueError, TypeError, EOFError, SyntaxError, Image.DecompressionBombError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise CellscaperError(f"{option} {path} is not a readable {kind} file ({reason})") from error
    if dimensions == 3 and array.ndim == 2:
        array = array[None]
    if array.ndim != dimensions or not array.size:
        raise CellscaperError(f"{option} {path} has the shape {array.shape}, expected (height, width)")
    return array
