"""Fixtures of all tests."""

import os
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
TOGETHER = (  # one cluster, one browser, one run each
    "test_slurm.py", "test_pages.py", "test_generator_page.py", "test_verify.py", "test_weights.py"
)  # fmt: skip

# Time limits for single examples fail at random on busy machines; examples must not depend on earlier runs.
hypothesis.settings.register_profile("cellscaper", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("cellscaper")


@pytest.hookimpl(optionalhook=True)  # nothing is distributed without pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hands out single tests of the workflow, and whole files: those in `TOGETHER`, and those of single functions.

    A file whose tests share what they make (a fixture of its module) makes it once then.
    It takes the place of loadscope alone.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return file if file.endswith(TOGETHER) or not file.startswith("tests/workflow") else nodeid

    return Scheduling(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Campaigns in full are for `make test-long`."""
    if os.environ.get("CELLSCAPER_LONG"):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not item.get_closest_marker("long")]


def coordinates(side: int, n: int, seed: int) -> np.ndarray:
    """(n, 2) float32 px in a window of ``side`` px: anywhere, whole, ties, the numbers beside ties, and the borders."""
    rng = np.random.default_rng(seed)
    whole = rng.integers(0, side, (n, 2)).astype(np.float32)
    tie = whole + np.float32(0.5)
    below, above = (np.nextafter(tie, np.float32(end)) for end in (0, side))
    anywhere = (rng.random((n, 2)) * side).astype(np.float32).clip(0, np.nextafter(np.float32(side), np.float32(0)))
    points = np.choose(rng.integers(0, 5, (n, 2)), [anywhere, whole, tie, below, above])
    last = np.nextafter(np.float32(side), np.float32(0))
    special = [0, last, side - 1, side - 0.5, 0.5, np.nextafter(np.float32(0.5), np.float32(0)), 1e-30]
    points[: len(special), 0], points[: len(special), 1] = special, special[::-1]
    return points


@pytest.fixture(scope="session", name="hard_points")
def _hard_points():
    """hard_points(side, n, seed) → (n ≥ 7, 2) float32 px whose pixels are easily mistaken."""
    return coordinates


@pytest.fixture(scope="session")
def nearest_centres():
    """nearest_centres(points (N, 2), side, stride=1) → (N, 2) the pixels of a map whose centres are nearest to points.

    By the distances to all centres, in double precision; of two equally near pixels the second.
    """

    def found(points: np.ndarray, side: int, stride: int = 1) -> np.ndarray:
        centres = np.arange(side // stride) * stride + (stride - 1) / 2
        away = np.abs(points[..., None].astype(np.float64) - centres)
        return len(centres) - 1 - away[..., ::-1].argmin(axis=-1)

    return found


@pytest.fixture(scope="session", name="turned")
def _turned():
    """turned(maps (…, side, side), symmetry) → the maps in the symmetry in which `transform` turns points."""

    def turned(maps: np.ndarray, symmetry: int) -> np.ndarray:
        for axis in (0, 1):
            maps = np.flip(maps, axis - 2) if symmetry >> axis & 1 else maps
        return np.swapaxes(maps, -1, -2) if symmetry & 4 else maps

    return turned


@pytest.fixture(scope="session")
def brca_m2c_path() -> Path:
    """The real BRCA-M2C: the folder CELLSCAPER_BRCA_M2C names, else shared/data/brca_m2c beside the repository."""
    named = os.environ.get("CELLSCAPER_BRCA_M2C")
    if named:
        if not Path(named).is_dir():
            pytest.fail(f"CELLSCAPER_BRCA_M2C={named} is not a folder")
        return Path(named)
    folder = REPOSITORY.parent / "shared" / "data" / "brca_m2c"
    if not folder.is_dir():
        pytest.skip("the real BRCA-M2C is not here; set CELLSCAPER_BRCA_M2C to its folder")
    return folder
