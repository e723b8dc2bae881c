"""Ten thousand layouts of the bundled weights in fifty parts: on the test cluster, and a lost one on this machine.

`make test-long` runs it, where SLURM and the real BRCA-M2C are. docs/large-sets.md has its times.
"""

import json

import pytest

from cellscaper.disk.storage import read_layouts

N, PARTS = 10_000, 50
BUNDLED = """
run: {{datasets: [brca_m2c]}}
datasets: {{brca_m2c: {{path: {path}}}}}
experiments: {{bundled: {{generator: packaged_points, field: w256}}}}
sets: {{big: {{dataset: brca_m2c, experiment: bundled, layouts: {n}, parts: {parts}}}}}
resources: {{generate_set: {{threads: 1, mem_mb: 1000, runtime: 120, gpu: 0}}}}
"""


@pytest.mark.long
def test_ten_thousand_layouts_in_fifty_parts(cluster, house, brca_m2c_path, tmp_path, record_property):
    own = house.copy(tmp_path / "house")
    text = BUNDLED.format(path=json.dumps(str(brca_m2c_path)), n=N, parts=PARTS)
    overlays = ("workflow/presets/brca-small.yaml", own.overlay("own.yaml", text)[1])
    ended = own.run(cluster.command(own, "sets", "--jobs", "8", overlays=overlays))
    assert ended.status == 0, ended.text
    record_property("seconds through SLURM", round(ended.seconds))
    assert len([job for job in cluster.jobs(ended.text) if job.state == "COMPLETED"]) >= PARTS // 4  # four in a group

    folder = own.folder / "results/brca_m2c/sets/big"
    assert len(read_layouts(folder, "points")) == N
    part = folder / f"part7-of-{PARTS}/layouts.h5"
    kept = part.read_bytes()
    part.unlink()
    ended = own.snakemake("sets", overlays=overlays)
    assert ended.status == 0, ended.text
    assert part.read_bytes() == kept
