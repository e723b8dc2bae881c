"""`LayoutSet`: the common type of cells that all stages pass on.

A set of cell layouts, real or generated: ragged arrays of labelled points with the size and source of each layout,
and free columns. Real patches, whole images, generated and random layouts and detections are all LayoutSets;
metrics take two of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cellscaper.errors import CellscaperError


@dataclass(frozen=True)
class Layout:
    """One layout. points (N, 2) float32 in px, y then x; labels (N,) uint8; size (height, width) px."""

    points: NDArray[np.float32]
    labels: NDArray[np.uint8]
    size: tuple[int, int]
    source: str = ""
    origin: tuple[int, int] = (0, 0)

    def __len__(self) -> int:
        return len(self.labels)

    def of_class(self, label: int) -> NDArray[np.float32]:
        """Points (M, 2) of one class."""
        return self.points[self.labels == label]


@dataclass(frozen=True, eq=False)
class LayoutSet:
    """L layouts with ΣN cells.

    points  (ΣN, 2) float32, y then x, px at ``mpp`` µm a pixel, 0 ≤ y < height, 0 ≤ x < width
    labels  (ΣN,) uint8, index into ``classes``
    offsets (L+1,) int64: layout i holds cells ``offsets[i]:offsets[i+1]``
    size    (L, 2) int32, height and width of each layout in px
    source  (L,) str, the image (or generator and number) each layout comes from
    origin  (L, 2) int32, the layout's top-left corner in that image, y then x
    columns free per-layout arrays (L, …): split, seed, target, …

    Raises CellscaperError if the arrays do not fit together.
    """

    points: NDArray[np.float32]
    labels: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    size: NDArray[np.int32]
    classes: tuple[str, ...]
    mpp: float
    source: NDArray[np.str_]
    origin: NDArray[np.int32]
    columns: dict[str, NDArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "points", np.asarray(self.points, np.float32).reshape(-1, 2))
        put(self, "labels", np.asarray(self.labels, np.uint8).reshape(-1))
        put(self, "offsets", np.asarray(self.offsets, np.int64).reshape(-1))
        put(self, "size", np.asarray(self.size, np.int32).reshape(-1, 2))
        put(self, "source", np.asarray(self.source, np.str_).reshape(-1))
        put(self, "origin", np.asarray(self.origin, np.int32).reshape(-1, 2))
        put(self, "classes", tuple(self.classes))
        put(self, "mpp", float(self.mpp))
        put(self, "columns", {name: np.asarray(column) for name, column in self.columns.items()})
        self._check()

    def _check(self) -> None:
        n = len(self.offsets) - 1
        if n < 0 or self.offsets[0] != 0 or (np.diff(self.offsets) < 0).any():
            raise CellscaperError("layout offsets must start at 0 and never fall")
        if not self.offsets[-1] == len(self.points) == len(self.labels):
            raise CellscaperError(
                f"{len(self.points)} points, {len(self.labels)} labels, offsets up to {self.offsets[-1]}: must agree"
            )
        for name, column in {"size": self.size, "source": self.source, "origin": self.origin, **self.columns}.items():
            if len(column) != n:
                entries = f"column {name!r} has {len(column)} entries"
                raise CellscaperError(f"{entries}, expected one for each of {n} layouts")
        if len(self.labels) and self.labels.max() >= len(self.classes):
            number, names = len(self.classes), self.classes
            raise CellscaperError(f"label {self.labels.max()} is outside the {number} classes {names}")
        limit = self.size[self.index].astype(np.float32)
        bad = ~((self.points >= 0) & (self.points < limit)).all(axis=1)
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            i = int(self.index[first])
            y, x = self.points[first]
            raise CellscaperError(
                f"dot y={y:g} x={x:g} of layout {self.source[i] or i} lies outside its "
                f"{self.size[i, 0]}×{self.size[i, 1]} px (height × width); {int(bad.sum())} of {bad.size} dots do"
            )

    # -- reading ---------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[Layout]:
        return (self.layout(i) for i in range(len(self)))

    def layout(self, i: int) -> Layout:
        """Layout number i, as views."""
        a, b = self.offsets[i], self.offsets[i + 1]
        return Layout(
            self.points[a:b],
            self.labels[a:b],
            (int(self.size[i, 0]), int(self.size[i, 1])),
            str(self.source[i]),
            (int(self.origin[i, 0]), int(self.origin[i, 1])),
        )

    def __getitem__(self, which: slice | Sequence[int] | NDArray) -> "LayoutSet":
        """A LayoutSet of the chosen layouts: a slice, indices (L',) or a mask (L,)."""
        rows = np.arange(len(self))[which]
        if rows.ndim != 1:
            raise TypeError("index a LayoutSet with a slice, an array of indices or a mask; one layout is .layout(i)")
        counts = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        cells = np.repeat(self.offsets[:-1][rows] - offsets[:-1], counts) + np.arange(offsets[-1])
        return replace(
            self,
            points=self.points[cells],
            labels=self.labels[cells],
            offsets=offsets,
            size=self.size[rows],
            source=self.source[rows],
            origin=self.origin[rows],
            columns={name: column[rows] for name, column in self.columns.items()},
        )

    def where(self, **values: object) -> "LayoutSet":
        """The layouts whose columns have these values: ``cells.where(split="test")``."""
        keep = np.ones(len(self), bool)
        for name, value in values.items():
            if name not in self.columns:
                raise CellscaperError(f"layouts have no column {name!r}; they have {sorted(self.columns)}")
            keep &= self.columns[name] == value
        return self[keep]

    @property
    def index(self) -> NDArray[np.int64]:
        """(ΣN,) the number of the layout each cell belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    @property
    def n_classes(self) -> int:
        return len(self.classes)

    def counts(self) -> NDArray[np.int64]:
        """(L, C) cells of each class in each layout."""
        flat = np.bincount(self.index * self.n_classes + self.labels, minlength=len(self) * self.n_classes)
        return flat.reshape(len(self), self.n_classes)

    def common_size(self) -> tuple[int, int]:
        """(height, width) if all layouts have the same; CellscaperError otherwise."""
        sizes = np.unique(self.size, axis=0)
        if len(sizes) != 1:
            raise CellscaperError(f"{len(sizes)} different layout sizes where one is needed")
        return int(sizes[0, 0]), int(sizes[0, 1])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LayoutSet):
            return NotImplemented
        arrays = ("points", "labels", "offsets", "size", "source", "origin")
        return (
            self.classes == other.classes
            and self.mpp == other.mpp
            and all(np.array_equal(getattr(self, a), getattr(other, a)) for a in arrays)
            and self.columns.keys() == other.columns.keys()
            and all(np.array_equal(v, other.columns[k]) for k, v in self.columns.items())
        )

    __hash__ = None  # type: ignore[assignment]

    # -- making ----------------------------------------------------------------------------------------

    @classmethod
    def build(
        cls, layouts: Iterable[Layout], classes: Sequence[str], mpp: float, columns: dict[str, NDArray] | None = None
    ) -> "LayoutSet":
        """A LayoutSet from single layouts."""
        items = list(layouts)
        return cls(
            points=np.concatenate([np.zeros((0, 2), np.float32), *(x.points for x in items)]),
            labels=np.concatenate([np.zeros(0, np.uint8), *(x.labels for x in items)]),
            offsets=np.cumsum([0, *(len(x) for x in items)]),
            size=np.array([x.size for x in items], np.int32),
            classes=tuple(classes),
            mpp=mpp,
            source=np.array([x.source for x in items], np.str_),
            origin=np.array([x.origin for x in items], np.int32),
            columns=columns or {},
        )

    @classmethod
    def joined(cls, parts: Sequence["LayoutSet"]) -> "LayoutSet":
        """The layouts of one or more sets, one after the other, with the columns of the first."""
        first, names = parts[0], ("points", "labels", "size", "source", "origin")
        arrays = {name: np.concatenate([getattr(one, name) for one in parts]) for name in names}
        counts = np.concatenate([np.diff(one.offsets) for one in parts])
        columns = {name: np.concatenate([one.columns[name] for one in parts]) for name in first.columns}
        offsets = np.concatenate([[0], np.cumsum(counts)])
        return cls(**arrays, offsets=offsets, classes=first.classes, mpp=first.mpp, columns=columns)

    def with_columns(self, **columns: NDArray) -> "LayoutSet":
        """The same layouts with these columns added or replaced."""
        return replace(self, columns={**self.columns, **columns})


def crop(layout: Layout, y: int, x: int, height: int, width: int) -> Layout:
    """The part of a layout inside the window [y, y+height) × [x, x+width), in the window's coordinates."""
    keep = ((layout.points >= (y, x)) & (layout.points < (y + height, x + width))).all(axis=1)
    shifted = layout.points[keep] - np.array([y, x], np.float32)
    origin = (layout.origin[0] + y, layout.origin[1] + x)
    return Layout(shifted, layout.labels[keep], (height, width), layout.source, origin)


def evenly_spaced(total: int, n: int) -> NDArray[np.int64]:
    """At most n of the rows 0 … total-1, evenly spaced from the first to the last."""
    return np.linspace(0, total - 1, min(n, total)).round().astype(np.int64)
