"""How a layout enters the network that paints.

    {"kind": "markers"}                 the grid's raster, concatenated to the noisy image (SD section 3)
    {"kind": "distance", "reach": px}   for each class a cone around every cell, concatenated (TC's released U-Net has
                                        distance maps, too): the pixels of a nucleus know where its centre is

    {"kind": "cross_attention", "width": channels}   cells are tokens, which the image attends to wherever it attends
                                        to itself (TC's text names cross-attention, not to what)

A new way is one more class here, one more block in the schema and its keys in ``config.CONDITION_KEYS``.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from cellscaper.diffusion.unet import FREQUENCIES, Context, position_waves
from cellscaper.errors import CellscaperError
from cellscaper.views.rasters import Grid, rasterise


class Markers:
    """The grid's raster as ``channels`` beside the image. ``context`` is None: there are no tokens."""

    context: int | None = None

    def __init__(self, settings: Mapping[str, Any], grid: Grid, classes: int):
        self.grid, self.classes, self.channels = grid, classes, classes

    def encode(self, points: Tensor, labels: Tensor, index: Tensor, n: int) -> Tensor:
        """(n, classes, side, side): :func:`cellscaper.views.rasters.rasterise` of these cells, arguments as there."""
        return rasterise(points, labels, index, n, self.classes, self.grid)


class Distance(Markers):
    """Cones around the cells: the grid's ``high`` at a cell, falling evenly to ``low`` at ``reach`` px."""

    def __init__(self, settings: Mapping[str, Any], grid: Grid, classes: int):
        super().__init__(settings, grid, classes)
        self.reach = float(settings["reach"])
        if not 1 <= self.reach <= grid.side:
            raise CellscaperError(
                f"image model: condition reach {self.reach:g} px must be from 1 to the map's {grid.side} px, about a "
                "nucleus' radius"
            )

    def encode(self, points: Tensor, labels: Tensor, index: Tensor, n: int) -> Tensor:
        """(n, classes, side, side): high − (high − low) · min(d / reach, 1), d px to the nearest cell of the class.

        Cones go on into the padding around the region.
        """
        grid, side = self.grid, self.grid.side
        step = torch.arange(-int(self.reach), int(self.reach) + 1, device=points.device)
        shift = torch.cartesian_prod(step, step)
        away = shift.float().norm(dim=1)
        shift, away = shift[away < self.reach], away[away < self.reach]  # (S, 2), (S,)
        cell = points.floor().long().clamp_(0, grid.inner - 1) + grid.pad
        y, x = (cell[:, None] + shift).unbind(-1)  # (M, S)
        inside = (y >= 0) & (y < side) & (x >= 0) & (x < side)
        pixel = ((index * self.classes + labels)[:, None] * side + y) * side + x
        nearest = torch.full((n * self.classes * side * side,), self.reach, device=points.device)
        nearest.scatter_reduce_(0, pixel[inside], away.expand_as(pixel)[inside], "amin")
        return grid.high - (grid.high - grid.low) / self.reach * nearest.view(n, self.classes, side, side)


class Cells:
    """Cells themselves, for :class:`CellTokens` ``context`` wide. ``channels`` is 0: no maps beside the image."""

    channels = 0

    def __init__(self, settings: Mapping[str, Any], grid: Grid, classes: int):
        self.grid, self.classes = grid, classes
        self.context: int = settings["width"]

    def encode(self, points: Tensor, labels: Tensor, index: Tensor, n: int) -> Tensor:
        """(n, N, 2 + classes), the cells of each layout, padded to the largest one's number: position as a part of the
        map's side, y then x, and the class as a one-hot vector; padding is 0. ``index`` must rise."""
        sizes = torch.bincount(index, minlength=n)
        place = torch.arange(len(index), device=index.device) - (sizes.cumsum(0) - sizes)[index]
        cells = torch.zeros(n, max(int(sizes.max()), 1), 2 + self.classes, device=points.device)
        position = (points.float() + self.grid.pad) / self.grid.side
        cells[index, place] = torch.cat([position, one_hot(labels, self.classes).float()], dim=1)
        return cells


class CellTokens(nn.Module):
    """Tokens ``width`` wide of encoded cells: waves of the position and the class, through an MLP."""

    def __init__(self, width: int, classes: int):
        super().__init__()
        features = 4 * len(FREQUENCIES) + classes
        self.token = nn.Sequential(nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width))
        self.nothing = nn.Parameter(torch.zeros(width))  # for pixels that no cell concerns

    def forward(self, cells: Tensor) -> Context:
        """The tokens of encoded cells (n, N, 2 + classes), after the one of nothing."""
        position, kind = cells[..., :2], cells[..., 2:]
        tokens = self.token(torch.cat([position_waves(position), kind], dim=-1))
        nothing = self.nothing.expand(len(tokens), 1, -1).to(tokens.dtype)
        present = torch.cat([kind.new_ones(len(kind), 1), kind.sum(dim=-1)], dim=1) > 0
        return Context(torch.cat([nothing, tokens], dim=1), present)


KINDS: dict[str, type[Markers] | type[Cells]] = {"markers": Markers, "distance": Distance, "cross_attention": Cells}


def layout_condition(settings: Mapping[str, Any], grid: Grid, classes: int) -> Markers | Cells:
    """The condition of an image model's config; CellscaperError for an unknown kind."""
    if settings["kind"] not in KINDS:
        raise CellscaperError(f"image model: condition kind {settings['kind']!r}; use one of {', '.join(KINDS)}")
    return KINDS[settings["kind"]](settings, grid, classes)
