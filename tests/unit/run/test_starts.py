"""What a stage imports before it works: a run of 400 short jobs spends minutes on it.

Of the package, everything is imported at module level (fingerprints follow that), so a heavy library is kept away by
small modules that do without it, or by an import inside the function that needs it.
"""

import subprocess
import sys

import pytest

WITHOUT_TORCH = (
    "draw_density",
    "draw_images",
    "draw_intervals",
    "draw_persistence",
    "draw_radii",
    "draw_table",
    "draw_training",
    "draw_overview",
    "fetch_dataset",
    "fit_density",
    "make_gallery",
    "make_report",
    "make_tables",
    "read_cells",
    "score_detections",
    "score_layouts",
)
SEEN = """
import importlib, sys
for stage in sys.argv[2:]:
    importlib.import_module(f"cellscaper.stages.{stage}")
    found = [name for name in sys.argv[1].split(",") if name in sys.modules]
    if found:
        sys.exit(f"{stage} imports {' and '.join(found)}")
"""


def imports(libraries, *stages):
    """The first of the stages that imports one of the libraries, in words; nothing if none does."""
    command = [sys.executable, "-c", SEEN, ",".join(libraries), *stages]
    return subprocess.run(command, capture_output=True, text=True).stderr.strip()


@pytest.mark.slow
def test_stages_that_compute_nothing_with_torch_do_not_import_it():
    assert imports(("torch",), *WITHOUT_TORCH) == ""


@pytest.mark.slow
def test_tables_and_pictures_import_no_library_of_matchings_and_fits():
    heavy = ("torch", "sklearn", "skimage", "scipy.optimize", "scipy.spatial", "scipy.stats", "gudhi")
    assert imports(heavy, "make_tables", "make_report", "draw_intervals", "draw_radii", "draw_images") == ""


@pytest.mark.slow
def test_no_stage_imports_what_only_chosen_settings_need():
    """torch's compiler, TensorBoard, POT and copulae are for those who choose them; pyplot would look for a screen."""
    rare = ("torch._dynamo", "ot", "copulae", "torchvision", "matplotlib.pyplot")
    assert imports(rare, *WITHOUT_TORCH, "sample_layouts", "paint_images", "detect_cells") == ""


def test_a_stage_that_imports_a_library_is_named():
    assert imports(("json",), "read_cells") == "read_cells imports json"
