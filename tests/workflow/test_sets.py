"""Generated sets in parts: a lost part is made again alone, and parts of any number hold the same set."""

import numpy as np
import pytest

from cellscaper.disk.storage import ImageSet, read_layouts

CI = "workflow/presets/ci.yaml"
SET = "sets: {{some: {{dataset: phantom, experiment: {}, layouts: {}, parts: {}, images: true}}}}"


def made(workflow, name="some"):
    """The layouts and images of a set."""
    folder = workflow.results / "sets" / name
    with ImageSet(folder) as images:
        return read_layouts(folder, "points"), list(images)


def assert_equal(one, other):
    assert one[0] == other[0]
    assert all(np.array_equal(first, second) for first, second in zip(one[1], other[1], strict=True))


def test_a_lost_part_is_made_again_alone(copy, finished):
    """Exactly its job and that of its images; the files are those that were lost."""
    part = copy.results / "sets/some/part2-of-2"
    for file in ("layouts.h5", "images.h5"):
        (part / file).unlink()
    plan = [job for job in copy.plan("sets") if job.rule != "sets"]
    assert {job.name for job in plan} == {"generate_set phantom/some/2/2", "paint_set phantom/some/2/2"}
    ended = copy.snakemake("sets")
    assert ended.status == 0, ended.text
    for file in ("layouts.h5", "images.h5"):
        lost = finished.results / "sets/some/part2-of-2" / file
        assert (part / file).read_bytes() == lost.read_bytes()
    (part / "images.h5").unlink()
    assert {job.rule for job in copy.plan("sets")} - {"sets"} == {"paint_set"}


@pytest.mark.parametrize(
    ("experiment", "layouts"), [("random", 24), pytest.param("point_diffusion", 96, marks=pytest.mark.long)]
)
def test_parts_of_another_number_are_the_same_set(copy, experiment, layouts):
    found = []
    for parts in (1, 3):
        overlays = copy.overlay("own.yaml", SET.format(experiment, layouts, parts).replace("some", f"of_{parts}"))
        ended = copy.snakemake("sets", overlays=overlays)
        assert ended.status == 0, ended.text
        found.append(made(copy, f"of_{parts}"))
    assert len(found[0][0]) == len(found[0][1]) == layouts
    assert_equal(*found)
    if experiment == "random":
        assert_equal(found[0], made(copy))


def test_without_sets_nothing_is_made(house, tmp_path):
    (tmp_path / "none.yaml").write_text("sets: {some: null}")
    overlays = (CI, str(tmp_path / "none.yaml"))
    assert {job.rule for job in house.plan(overlays=overlays)} & {"generate_set", "paint_set"} == set()
