"""Fixtures of all tests."""

import os
from pathlib import Path

import hypothesis
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

# Time limits for single examples fail at random on busy machines; examples must not depend on earlier runs.
hypothesis.settings.register_profile("cellscaper", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("cellscaper")


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
