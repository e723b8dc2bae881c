"""An image under construction: patches are laid over each other and cut where they agree best."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from cellscaper.painters.quilting.cells import Shown
from cellscaper.painters.quilting.cut import NEW, OLD, UNDECIDED, minimum_cut
from cellscaper.painters.quilting.patch import Patch, turned_image
from cellscaper.painters.quilting.sources import Candidate, Image
from cellscaper.views.symmetries import EIGHT, inverse

SCALE = 1000  # cost of a pixel that differs by the whole grey range
PULL = 30  # cost of a pixel for each px that the centre of its patch is farther away than the other's
EMPTY = 255  # `owner` of a pixel that no patch has painted


class Canvas:
    """The pixels of an image of ``size`` (H, W), with a margin in which no patch is cut off.

    owner   px to the centre of the patch that painted a pixel, EMPTY where none has
    locked  cores of cells, which stay as they are
    """

    def __init__(self, size: tuple[int, int], margin: int):
        self.size, self.margin = size, margin
        shape = (size[0] + 2 * margin, size[1] + 2 * margin)
        self.pixels = np.zeros((*shape, 3), np.uint8)
        self.owner = np.full(shape, EMPTY, np.uint8)
        self.locked = np.zeros(shape, bool)

    def window(self, at: tuple[int, int], radius: int) -> tuple[slice, slice]:
        """The square around a pixel of the image."""
        y, x = at[0] + self.margin, at[1] + self.margin
        return slice(y - radius, y + radius + 1), slice(x - radius, x + radius + 1)

    def rows(self, top: int, bottom: int) -> tuple[slice, slice]:
        """Rows ``top`` to ``bottom`` of the image, without the margin."""
        m = self.margin
        return slice(m + top, m + bottom), slice(m, m + self.size[1])

    def image(self) -> Image:
        """(H, W, 3), without the margin."""
        return np.ascontiguousarray(self.pixels[self.rows(0, self.size[0])])

    def differences(self, at: tuple[int, int], patch: Patch, candidates: list[Candidate]) -> NDArray[np.float64]:
        """(n,) mean difference of each candidate to what is already under its disc, as a share of the grey range."""
        where = self.window(at, patch.radius)
        seen = ((self.owner[where] != EMPTY) & ~self.locked[where] & patch.disc)[::2, ::2]
        if not seen.any():
            return np.zeros(len(candidates))
        under = self.pixels[where][::2, ::2].astype(np.int16)
        back = {s: (turned_image(seen, inverse(s)), turned_image(under, inverse(s))) for s in EIGHT}
        places = {s: (mask, one[mask]) for s, (mask, one) in back.items()}
        return np.array([self._difference(one, patch.radius, *places[one.symmetry]) for one in candidates])

    @staticmethod
    def _difference(one: Candidate, radius: int, mask: NDArray[np.bool_], under: NDArray[np.int16]) -> float:
        """The mean over the pixels of ``mask``, in the frame of the candidate's source."""
        return float(np.abs(one.window(radius)[::2, ::2][mask] - under).sum(dtype=np.int64)) / (255 * under.size)

    def place(self, at: tuple[int, int], patch: Patch, chosen: Candidate, shown: Shown, gradient: float) -> list[int]:
        """Lay a patch around the pixel ``at``; the rows of the cells whose cores it has painted wholly.

        Cores that lie wholly in the patch and touch no other core are taken and locked. Ghosts are never taken.
        ``gradient``: see `seam_costs`. A patch always paints the pixel ``at`` itself where it is empty.
        """
        where = self.window(at, patch.radius)
        old, owner, locked = self.pixels[where], self.owner[where], self.locked[where]
        new, filled = chosen.pixels(patch.radius), owner != EMPTY
        barred = locked | ~patch.disc
        cores = {row: core & ~locked for row, core in shown.cores.items() if not (core & ~patch.disc).any()}
        core = np.logical_or.reduce([*cores.values(), np.zeros_like(locked)])
        fixed = np.where(filled, UNDECIDED, NEW).astype(np.int8)
        fixed[barred | shown.ghost] = OLD
        fixed[core] = NEW
        middle = (patch.radius, patch.radius)
        if not filled[middle]:
            fixed[middle] = NEW
        pull = (PULL * np.where(filled, patch.away - owner, 0)).astype(np.int32)
        edges = seam_costs(old, new, filled, fixed == NEW, gradient)
        take = minimum_cut((-pull).clip(0), pull.clip(0), *edges, fixed)
        soft = uniform_filter(take.astype(np.float32), 3, mode="nearest")[..., None]  # a pixel of feather
        soft = np.where((filled & ~core & ~locked)[..., None], soft, take[..., None])
        self.pixels[where] = (old + soft * (new.astype(np.float32) - old)).round().astype(np.uint8)
        owner[take] = np.minimum(patch.away[take], EMPTY - 1)
        locked |= core
        return list(cores)


def seam_costs(
    old: Image, new: Image, filled: NDArray[np.bool_], taken: NDArray[np.bool_], gradient: float
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Costs of a seam between neighbours side by side (h, w − 1) and one above the other (h − 1, w).

    The difference of old and new at both pixels (Kwatra et al. 2003, Eq. 1), times g / (g + slope): their sum of
    gradients across the seam hides it (as in Eq. 2). g is ``gradient``, a share of the grey range. Where only one pixel
    is ``filled``, there is a seam only if the other is ``taken``, and the difference of the first counts twice.
    """
    apart = np.abs(new.astype(np.int16) - old).sum(axis=-1) * (SCALE / 765)
    found = []
    for one, two in (((slice(None), slice(-1)), (slice(None), slice(1, None))), ((slice(-1),), (slice(1, None),))):
        both = filled[one] & filled[two]
        single = np.where(filled[one] & taken[two], 2 * apart[one], 0) + np.where(
            filled[two] & taken[one], 2 * apart[two], 0
        )
        cost = np.where(both, apart[one] + apart[two], single)
        slope = sum(np.abs(side[one].astype(np.int16) - side[two]).sum(axis=-1) / 765 for side in (old, new))
        found.append((cost * gradient / (gradient + slope) + both).astype(np.int32))
    return found[0], found[1]
