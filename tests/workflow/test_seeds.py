"""A seed means the same however a stage is run."""

import json

import numpy as np

from cellscaper.disk.storage import layout_names, read_layouts


def sampled_again(workflow, jobs, change):
    """The test layouts of ADM, sampled with a changed section: paths of the first and the new result."""
    job = next(job for job in jobs if job.name == "sample_layouts phantom/adm/test/0")
    command = list(job.command)
    config = json.loads(command[command.index("--config") + 1])
    change(config)
    command[command.index("--config") + 1] = json.dumps(config)
    command[command.index("--layouts") + 1] = "again.h5"
    ended = workflow.run(command)
    assert ended.status == 0, ended.text
    return workflow.results / "sample_layouts/adm/test/seed0/layouts.h5", workflow.folder / "again.h5"


def test_layouts_do_not_depend_on_the_batch_size(copy, jobs):
    first, again = sampled_again(copy, jobs, lambda config: config["settings"].update(batch=7))
    assert layout_names(first) == layout_names(again)
    for name in layout_names(first):
        one, other = read_layouts(first, name), read_layouts(again, name)
        assert one == other, name


def test_layouts_do_not_depend_on_how_many_are_drawn(copy, jobs):
    n = 9
    first, again = sampled_again(copy, jobs, lambda config: config.update(layouts=n))
    one, other = (read_layouts(path, "requested") for path in (first, again))
    assert len(other) == n
    assert np.array_equal(other.columns["requested"][0], one.columns["requested"][0])
    assert other[:1] == one[:1]
