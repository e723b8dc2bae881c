"""The fit of a Geyer saturation process by pseudo-likelihood, as a logistic regression (Baddeley et al. 2014).

Each cell of the training images is compared with random dummy cells of its class. The log odds that a place holds a
cell are linear in what a cell there adds to the statistics, and the coefficients are the interactions. Every image and
class has an intercept of its own: images differ in density, and a common intercept would take this for attraction.
Cells and dummies nearer to the border of their image than the last radius count as neighbours only, so that those that
are compared see all their neighbours.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack, vstack
from scipy.spatial import cKDTree
from sklearn.linear_model import LogisticRegression

from cellscaper.errors import CellscaperError
from cellscaper.generators.geyer.model import Shape, added, neighbours
from cellscaper.layouts import Layout

PENALTY = 0.01  # of the squared coefficients: keeps those of pairs without cells finite
MOST_CELLS = 20_000  # that are compared with dummies; of more, a random part is
FEWEST = 20  # cells that are compared


def fit(layouts: Sequence[Layout], shape: Shape, dummies: int, seed: int) -> NDArray[np.float64]:
    """The interactions θ (P, K) of the training images; ``dummies`` for each cell, at random places.

    Cells inside the hard core of another cell, which the process cannot have, are no responses. CellscaperError if the
    images are too small or have too few cells.
    """
    rng = np.random.default_rng(seed)
    share = min(1.0, MOST_CELLS / max(sum(map(len, layouts)), 1))
    rows, answers, groups = [], [], 0
    for layout in layouts:
        if not len(layout):
            continue
        around, tree = neighbours(shape, layout.points, layout.labels), cKDTree(layout.points)
        alone = tree.query(layout.points, k=[2])[0][:, 0] >= shape.core
        responds = alone & _inside(layout.points, layout.size, shape.radii[-1]) & (rng.random(len(layout)) < share)
        for label in range(shape.classes):
            cells = np.flatnonzero(responds & (layout.labels == label))
            if not len(cells):
                continue
            margin = shape.radii[-1]
            places = rng.uniform(margin, np.array(layout.size) - margin, (dummies * len(cells), 2))
            free = places[tree.query(places)[0] >= shape.core]
            common = (shape, layout.points, layout.labels)
            found = [
                added(*common, layout.points[cells], label, around, cells),
                added(*common, free, label, around),
            ]
            rows.append((csr_array(np.concatenate(found).reshape(len(cells) + len(free), -1)), groups))
            answers.append(np.repeat([1, 0], [len(cells), len(free)]))
            groups += 1
    answer = np.concatenate([*answers, np.zeros(0, int)])
    if answer.sum() < FEWEST:
        raise CellscaperError(
            f"gibbs: {int(answer.sum())} training cells lie {shape.radii[-1]} px or more inside their image, expected "
            f"at least {FEWEST}; give larger training images or a smaller last radius in settings.radii"
        )
    table = vstack([hstack([one, _intercept(one.shape[0], group, groups)]) for one, group in rows], format="csr")
    model = LogisticRegression(C=1 / PENALTY, fit_intercept=False, tol=1e-5, max_iter=2000).fit(table, answer)
    return model.coef_[0, : shape.pairs * shape.annuli].reshape(shape.pairs, shape.annuli)


def _intercept(rows: int, group: int, groups: int) -> csr_array:
    return csr_array((np.ones(rows), (np.arange(rows), np.full(rows, group))), shape=(rows, groups))


def _inside(points: NDArray, size: tuple[int, int], margin: float) -> NDArray[np.bool_]:
    inside = (points >= margin) & (points < np.array(size) - margin)
    return np.asarray(inside.all(axis=1), bool)
