"""From wished distances at a few pixels to a gradient on the map.

A critical pixel p has distance D and wished distance w. Its derivative reaches the map through the soft distance
(:mod:`cellscaper.topology.distance`) with presence b = map / threshold in [0, 1] and v = penalty · max(D, w): −v at
the pixel that determines the distance. v has no gradient; with penalty 1 it is the most that D would gain or lose
if that pixel's cell vanished or appeared. Presence passes its gradient on beyond [0, 1] (straight-through). The soft
distance has different arg-mins on either side of the threshold:

too near (D < w)  every cell pixel closer than w has to vanish before D reaches w, so these pixels share the −v equally.
    (If the nearest pixel had all of it, markers would shrink pixel by pixel.)
too far (D > w)   a pixel q below the threshold is the arg-min if |p − q| + v (1 − b_q) < D. The prediction has a weak
    cell there, and q gets the −v. Otherwise the arg-mins are the cells nearest to p, which are present already. They
    come closer: the pixels at distance w on the lines from p to them get the −v.
"""

import numpy as np
from numpy.typing import NDArray

from cellscaper.topology.distance import DistanceMap, discs

TOLERANCE = 0.25  # px; smaller residuals come from the raster and are not passed on
_AROUND = np.array([[0, 0], [2, 0], [-2, 0], [0, 2], [0, -2]])  # px: places whose nearest cells are found

# rows (n,) of the critical pixels, flat pixels (n,) of the map, shares (n,) of −v
Shares = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


def route(
    layer: NDArray[np.float32],
    distance: DistanceMap,
    pixels: NDArray[np.int64],
    wished: NDArray[np.float64],
    threshold: float,
    penalty: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Gradient of Σ (D(p) − w)² over ``pixels`` (k,) with ``wished`` (k,) px, on a map (H, W) in unit range.

    Returns flat pixels (n,) and their slopes (n,); a pixel may be there more than once. ``distance`` belongs to
    layer > threshold. If the layer has no cell, D is taken as 2 w, so that weak cells up to that distance rise.
    """
    now = 2 * wished if distance.empty else distance.values.ravel()[pixels].astype(np.float64)
    keep = np.flatnonzero(np.abs(now - wished) > TOLERANCE)
    near, far = keep[now[keep] < wished[keep]], keep[now[keep] > wished[keep]]
    slope = -2 * (now - wished) * penalty * np.maximum(now, wished) / threshold
    presence = layer / np.float32(threshold)
    row, where, share = _blocking(presence, distance, pixels[near], wished[near])
    found = [(where, share * slope[near][row])]
    row, where, share, taken = _believed(presence, pixels[far], now[far], penalty)
    found.append((where, share * slope[far][row]))
    if not distance.empty:
        rest = far[~taken]
        row, where, share = _closer(presence, distance, pixels[rest], now[rest], wished[rest])
        found.append((where, share * slope[rest][row]))
    return np.concatenate([one[0] for one in found]), np.concatenate([one[1] for one in found])


def _blocking(
    presence: NDArray[np.float32], distance: DistanceMap, pixels: NDArray[np.int64], wished: NDArray[np.float64]
) -> Shares:
    """Cell pixels closer than ``wished``, and in any case the nearest one."""
    disc = discs(presence.shape, pixels, wished)
    nearest = distance.seed.ravel()[pixels].astype(np.int64)
    blocks = (disc.reach < np.inf) & (presence.ravel()[disc.pixel] > 1) & (disc.pixel != nearest[:, None])
    row, column = np.nonzero(blocks)
    share = 1 / (1 + blocks.sum(axis=1))
    rows = np.concatenate([row, np.arange(len(pixels))])
    return rows, np.concatenate([disc.pixel[row, column], nearest]), share[rows]


def _believed(
    presence: NDArray[np.float32],
    pixels: NDArray[np.int64],
    now: NDArray[np.float64],
    penalty: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """Arg-mins of the soft distance below the threshold that are nearer than the nearest cell, and for which pixels."""
    disc = discs(presence.shape, pixels, now)
    there = presence.ravel()[disc.pixel]
    absent = np.where(there > 1, np.inf, 1 - np.maximum(there, 0))
    soft = disc.reach + (penalty * now).astype(np.float32)[:, None] * absent
    rows = np.arange(len(pixels))
    best = soft.argmin(axis=1)
    taken = soft[rows, best] < now
    rows = rows[taken]
    return rows, disc.pixel[rows, best[taken]], np.ones(len(rows)), taken


def _closer(
    presence: NDArray[np.float32],
    distance: DistanceMap,
    pixels: NDArray[np.int64],
    now: NDArray[np.float64],
    wished: NDArray[np.float64],
) -> Shares:
    """Pixels at ``wished`` px, at least 1 px before the cell, on the lines from ``pixels`` to their nearest cells."""
    height, width = presence.shape
    here = np.stack([pixels // width, pixels % width], axis=1)[:, None]  # (k, 1, 2)
    seen = np.clip(here + _AROUND, 0, [height - 1, width - 1])
    seed = distance.seed[seen[..., 0], seen[..., 1]]
    way = np.stack([seed // width, seed % width], axis=-1) - here  # (k, 5, 2)
    length = np.hypot(way[..., 0], way[..., 1])
    reach = np.clip(np.minimum(wished[:, None], length - 1), 0, None)
    target = np.rint(here + way * (reach / np.maximum(length, 1))[..., None]).astype(np.int64)
    free = (length < now[:, None] + 1) & (presence[target[..., 0], target[..., 1]] <= 1)
    row, column = np.nonzero(free)
    share = 1 / np.maximum(free.sum(axis=1), 1)
    return row, (target[..., 0] * width + target[..., 1])[row, column], share[row]
