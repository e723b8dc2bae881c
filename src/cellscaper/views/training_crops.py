"""The training crops of SD's evaluation: targets by count category, and reference layouts (docs/methods.md, 1.2)."""

import numpy as np
import torch
from numpy.typing import ArrayLike

from cellscaper.errors import CellscaperError
from cellscaper.layouts import LayoutSet
from cellscaper.run.settings import Small
from cellscaper.views.crops import CropSampler, to_layouts
from cellscaper.views.patches import large_enough

EDGE_CROPS = 20_000  # training crops whose quantiles are the edges of the count categories
MOST_CROPS = 200_000  # crops that are drawn at most until each category has enough
BLOCK = 500  # crops drawn at once: all cells of their images are in memory


def count_edges(totals: ArrayLike, categories: int) -> list[float]:
    """The K-1 totals that split ``totals`` (N,), cells in each training crop, into K equal parts (quantiles).

    Raises CellscaperError if the totals have too few different values for K categories.
    """
    values = np.asarray(totals, np.float64)
    if categories < 1 or not values.size:
        raise CellscaperError(f"{values.size} training counts do not make {categories} count categories")
    edges = np.quantile(values, np.arange(1, categories) / categories)
    if len(np.unique(np.searchsorted(edges, values, side="right"))) != categories:
        raise CellscaperError(
            f"training counts from {values.min():g} to {values.max():g} leave some of {categories} count categories "
            "empty (too many crops have equal counts); use fewer categories"
        )
    return [float(edge) for edge in edges]


def category_edges(crops: CropSampler, categories: int) -> list[float]:
    """:func:`count_edges` of random training crops (SD section 3). They depend on the crops' region and alignment."""
    generator, totals = torch.Generator().manual_seed(0), []
    for _ in range(0, EDGE_CROPS, BLOCK):
        batch = crops.sample(BLOCK, generator)
        totals.append(torch.bincount(batch.index, minlength=batch.n).cpu().numpy())
    return count_edges(np.concatenate(totals), categories)


def category_crops(
    train: LayoutSet, region: int, categories: int, each: int, align: int = 1, small: Small = "error", seed: int = 0
) -> LayoutSet:
    """``each`` random training crops of every count category, so that all categories weigh the same (SD section 4).

    They come category after category, numbered in the column ``category`` (L,) int64, few cells first. CellscaperError
    if the totals do not make so many categories, or if a category has too few of ``MOST_CROPS`` crops.
    """
    crops = CropSampler(train, region, flips="none", align=align, small=small)  # as their images
    edges, generator = category_edges(crops, categories), torch.Generator().manual_seed(seed)
    missing, parts = np.full(categories, each), []
    for _ in range(0, MOST_CROPS, BLOCK):
        found = to_layouts(crops.sample(BLOCK, generator), train)
        kind = np.searchsorted(edges, np.diff(found.offsets), side="right")
        rows = np.concatenate([np.flatnonzero(kind == k)[: missing[k]] for k in range(categories)])
        missing -= np.bincount(kind[rows], minlength=categories)
        parts.append(found[rows].with_columns(category=kind[rows]))
        if not missing.any():
            break
    if missing.any():
        k, limits = int(missing.argmax()), [0.0, *edges, np.inf]
        raise CellscaperError(
            f"count category {k + 1} of {categories} ({limits[k]:g} to {limits[k + 1]:g} cells) has "
            f"{each - missing[k]} of {MOST_CROPS} training crops, expected {each}; use fewer categories"
        )
    whole = LayoutSet.joined(parts)
    return whole[np.argsort(whole.columns["category"], kind="stable")]


def reference_crops(
    train: LayoutSet, region: int, number: int, align: int = 1, small: Small = "error", seed: int = 0
) -> LayoutSet:
    """``number`` random training crops, of each image as many as of any other, or one more (SD Eq. 5)."""
    images = np.flatnonzero(large_enough(train, region, small))
    each, generator, parts = -(-number // len(images)), torch.Generator().manual_seed(seed), []
    for image in images.tolist():
        own = train[[image]]
        found = to_layouts(CropSampler(own, region, align=align).sample(each, generator), own)
        parts.append(found.with_columns(image=np.full(each, image)))
    turn = np.tile(np.arange(each), len(images))  # first crops of all images, second crops, …
    return LayoutSet.joined(parts)[np.argsort(turn, kind="stable")[:number]]
