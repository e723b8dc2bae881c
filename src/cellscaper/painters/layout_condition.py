"""Forms of a layout in the input of the network that paints.

markers          the grid's raster, concatenated to the noisy image (SD section 3)
distance         for each class a cone around every cell, concatenated (TC's released U-Net also has distance maps):
                 the pixels of a nucleus then show where its centre is
cross_attention  cells are tokens; cross-attention to them follows each self-attention (TC's text names cross-attention,
                 without its target)

A new form needs a class of settings and a class that encodes, both in this file.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import one_hot

from cellscaper.diffusion.unet import OCTAVES, Context, position_waves
from cellscaper.errors import CellscaperError
from cellscaper.run.settings import Count, Settings
from cellscaper.views.grid import Grid
from cellscaper.views.rasters import pixels, rasterise


class MarkerCondition(Settings):
    """Markers, concatenated to the image (SD)."""

    kind: Literal["markers"] = "markers"


class DistanceCondition(Settings):
    """Distance maps, concatenated to the image (TC's release)."""

    kind: Literal["distance"]
    reach: float = Field(ge=1, description="px at which distance maps end, about a nucleus' radius")


class AttentionCondition(Settings):
    """Cells that the image attends to (TC's text)."""

    kind: Literal["cross_attention"]
    width: Count = Field(description="channels of a cell's token")


Condition = Annotated[MarkerCondition | DistanceCondition | AttentionCondition, Field(discriminator="kind")]


class Markers:
    """The grid's raster as ``channels`` of the input. ``context`` is None: there are no tokens."""

    context: int | None = None

    def __init__(self, grid: Grid, classes: int):
        self.grid, self.classes, self.channels = grid, classes, classes

    def encode(self, points: Tensor, labels: Tensor, index: Tensor, n: int) -> Tensor:
        """(n, classes, side, side): :func:`cellscaper.views.rasters.rasterise` of these cells, arguments as there."""
        return rasterise(points, labels, index, n, self.classes, self.grid)


class Distance(Markers):
    """Cones around the cells: the grid's ``high`` at a cell, falling evenly to ``low`` at ``reach`` px."""

    def __init__(self, reach: float, grid: Grid, classes: int):
        super().__init__(grid, classes)
        self.reach = reach
        if not 1 <= self.reach <= grid.side:
            raise CellscaperError(
                f"image model: condition reach {self.reach:g} px must be from 1 to the map's {grid.side} px, about a "
                "nucleus' radius"
            )

    def encode(self, points: Tensor, labels: Tensor, index: Tensor, n: int) -> Tensor:
        """(n, classes, side, side): high − (high − low) · min(d / reach, 1), d px to the pixel of the nearest cell of
        the class.

        Cones go on into the padding around the region.
        """
        grid, side = self.grid, self.grid.side
        step = torch.arange(-int(self.reach), int(self.reach) + 1, device=points.device)
        shift = torch.cartesian_prod(step, step)
        away = shift.float().norm(dim=1)
        shift, away = shift[away < self.reach], away[away < self.reach]  # (S, 2), (S,)
        cell = pixels(points, grid) + grid.pad
        y, x = (cell[:, None] + shift).unbind(-1)  # (M, S)
        inside = (y >= 0) & (y < side) & (x >= 0) & (x < side)
        pixel = ((index * self.classes + labels)[:, None] * side + y) * side + x
        nearest = torch.full((n * self.classes * side * side,), self.reach, device=points.device)
        nearest.scatter_reduce_(0, pixel[inside], away.expand_as(pixel)[inside], "amin")
        return grid.high - (grid.high - grid.low) / self.reach * nearest.view(n, self.classes, side, side)


class Cells:
    """The cells themselves, for :class:`CellTokens` of width ``context``. ``channels`` is 0: no maps in the input."""

    channels = 0

    def __init__(self, width: int, grid: Grid, classes: int):
        self.grid, self.classes = grid, classes
        self.context = width

    def encode(self, points: Tensor, labels: Tensor, index: Tensor, n: int) -> Tensor:
        """(n, N, 2 + classes), the cells of each layout, padded to the largest number: position as a fraction of the
        map's side, y then x, and the class as a one-hot vector; padding is 0. ``index`` must rise.

        Pixel i of the map begins at i / side and has its centre at (i + ½) / side, as in the queries of the U-Net.
        """
        sizes = torch.bincount(index, minlength=n)
        place = torch.arange(len(index), device=index.device) - (sizes.cumsum(0) - sizes)[index]
        cells = torch.zeros(n, max(int(sizes.max()), 1), 2 + self.classes, device=points.device)
        position = (points.float() + 0.5 + self.grid.pad) / self.grid.side
        cells[index, place] = torch.cat([position, one_hot(labels, self.classes).float()], dim=1)
        return cells


class CellTokens(nn.Module):
    """Tokens ``width`` wide of encoded cells: waves of the position and the class, through an MLP."""

    def __init__(self, width: int, classes: int):
        super().__init__()
        features = 4 * OCTAVES + classes
        self.token = nn.Sequential(nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width))
        self.nothing = nn.Parameter(torch.zeros(width))  # token for pixels that need no cell

    def forward(self, cells: Tensor) -> Context:
        """The tokens of encoded cells (n, N, 2 + classes), after the token ``nothing``."""
        position, kind = cells[..., :2], cells[..., 2:]
        tokens = self.token(torch.cat([position_waves(position), kind], dim=-1))
        nothing = self.nothing.expand(len(tokens), 1, -1).to(tokens.dtype)
        present = torch.cat([kind.new_ones(len(kind), 1), kind.sum(dim=-1)], dim=1) > 0
        return Context(torch.cat([nothing, tokens], dim=1), present)


def layout_condition(
    settings: MarkerCondition | DistanceCondition | AttentionCondition, grid: Grid, classes: int
) -> Markers | Cells:
    """The encoder of layouts with ``classes`` classes on this grid."""
    if isinstance(settings, DistanceCondition):
        return Distance(settings.reach, grid, classes)
    if isinstance(settings, AttentionCondition):
        return Cells(settings.width, grid, classes)
    return Markers(grid, classes)
