"""The null model of the bundled point diffusion: layouts that `cellscaper generate` would make for the same counts."""

from collections.abc import Iterator, Sequence

import numpy as np

from cellscaper.envelopes.nulls import NULLS, USE, Cells, Simulated
from cellscaper.errors import CellscaperError
from cellscaper.generators.pointsets.generate import SAMPLING, generate
from cellscaper.generators.pointsets.packaged import load_packaged
from cellscaper.generators.pointsets.request import Request
from cellscaper.run.devices import best_device
from cellscaper.run.seeds import sample_seeds

SCALE = 0.02  # relative difference of µm a pixel that still counts as the model's scale


def simulate_learned(
    data: Sequence[Cells], classes: Sequence[str], mpp: float, n: int, seed: int, distance: float, steps: int | None
) -> Iterator[Simulated]:
    """n times all layouts; number k depends on ``seed``, k and the counts alone.

    ``distance`` px between any two cells; ``steps`` noise levels, None for those of `cellscaper generate`.
    CellscaperError, before anything is computed, if the data have classes or a scale that the model does not know, or
    counts that do not fit at the distance.
    """
    model, facts = load_packaged()
    theirs = tuple(facts["classes"])
    used = [classes[label] for label in np.unique(np.concatenate([one.labels for one in data]))]
    strange = [name for name in used if name not in theirs]
    if strange:
        raise CellscaperError(
            f"--null learned: the model knows {', '.join(theirs)}, the cells have {', '.join(strange)}; rename the "
            "classes (convert with --classes) or take another null model"
        )
    if abs(mpp / float(facts["mpp"]) - 1) > SCALE:
        raise CellscaperError(
            f"--null learned: the model knows {facts['mpp']:g} µm a pixel, the cells have {mpp:g}; rescale them or "
            "take another null model"
        )
    of_theirs = [classes.index(name) if name in classes else 0 for name in theirs]  # without cells, it is never used
    requests = []
    for one in data:
        names = [classes[label] for label in one.labels]
        counts = np.array([names.count(name) for name in theirs], np.int64)
        requests.append(Request(counts, one.region.size, distance, one.region.mask))
    sampling = SAMPLING if steps is None else SAMPLING.model_copy(update={"steps": steps})
    device = best_device()
    model.to(device)
    seeds = sample_seeds(seed, n, USE)
    made = []
    for number, request in enumerate(requests):
        own = [int(np.random.SeedSequence([one, NULLS.index("learned"), number]).generate_state(1, np.uint64)[0] >> 1)
               for one in seeds]  # fmt: skip
        made.append(generate(model, request, own, sampling, device))
    of = np.array(of_theirs, np.uint8)
    for layouts in zip(*made, strict=True):
        yield [
            (one.region.snapped(layout.points), of[layout.labels]) for one, layout in zip(data, layouts, strict=True)
        ]
