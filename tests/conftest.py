"""Fixtures of all tests."""

import os
from pathlib import Path
from typing import Any

import hypothesis
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
TOGETHER = ("test_slurm.py", "test_pages.py")  # one cluster, one browser

# Time limits for single examples fail at random on busy machines; examples must not depend on earlier runs.
hypothesis.settings.register_profile("cellscaper", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("cellscaper")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hands out single tests, but those of files in `TOGETHER` to one process, first. Those of `loadscope` alone."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return file if file.endswith(TOGETHER) else nodeid

    return Scheduling(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Campaigns in full are for `make test-long`."""
    if os.environ.get("CELLSCAPER_LONG"):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not item.get_closest_marker("long")]


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
