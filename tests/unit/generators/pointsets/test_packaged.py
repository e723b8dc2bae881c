"""The weights that are shipped with the package."""

import numpy as np
import pytest
import torch

from cellscaper.disk.files import checksum
from cellscaper.errors import CellscaperError
from cellscaper.generators import packaged_points, point_diffusion
from cellscaper.generators.pointsets import batches, packaged
from cellscaper.generators.pointsets.network import in_precision
from cellscaper.generators.protocol import Recipe, read_recipe
from cellscaper.layouts import Layout, LayoutSet

SAMPLING = {
    **{"steps": 4, "sigma_max": 800.0, "sigma_min": 0.5, "rho": 7.0, "batch": 4},
    **{"heun": False, "churn": 0.0, "churn_above": 0.0, "precision": "fp32"},
}
CPU = torch.device("cpu")


def targets(classes=("lymphocyte", "epithelial", "stromal"), side=256):
    labels = np.repeat([0, 1, 2], [3, 8, 4]).astype(np.uint8)
    points = np.random.default_rng(0).uniform(0, side, (15, 2)).astype(np.float32)
    return LayoutSet.build([Layout(points, labels, (side, side))] * 2, classes, 0.5)


def test_the_file_is_the_one_this_version_came_with_and_small():
    assert checksum(packaged.WEIGHTS) == packaged.SHA256
    assert packaged.WEIGHTS.stat().st_size < 8e6
    assert packaged.WEIGHTS.with_suffix(".md").exists()


def test_it_loads_ready_to_draw():
    model, facts = packaged.load_packaged()
    assert facts["classes"] == ["lymphocyte", "epithelial", "stromal"]
    assert (model.region, facts["mpp"], model.training) == (256, 0.5, False)
    assert sum(p.numel() for p in model.parameters()) < 3e6
    assert any(p.any() for p in model.head.parameters())


def test_their_section_is_a_recipe_of_today_with_the_settings_of_the_papers_configuration():
    _, facts = packaged.load_packaged()
    recipe = read_recipe(facts["section"])
    assert recipe == Recipe(
        method="point_diffusion",
        settings=point_diffusion.Settings(),
        training=point_diffusion.TRAINING,
        region=256,
        small="error",
    )
    today = recipe.model_dump(mode="json")
    del today["training"]["compile"]  # younger than the weights
    assert today == facts["section"]


def test_generate_gives_the_counts_with_one_seed_a_layout(place):
    made = place(packaged_points, targets(), [3, 4], **SAMPLING)
    assert np.array_equal(made.counts(), targets().counts())
    assert made.columns["target"].tolist() == [0, 1]
    again = place(packaged_points, targets()[[1]], [4], **SAMPLING)
    assert np.abs(again.points - made[[1]].points).max() < 1e-4
    with pytest.raises(CellscaperError, match="know lymphocyte, epithelial, stromal, asked for a, b, c"):
        place(packaged_points, targets(("a", "b", "c")), [1, 2], **SAMPLING)
    with pytest.raises(CellscaperError, match="trained on 256 px regions of 3 classes, asked for 300×300 px"):
        place(packaged_points, targets(side=300), [1, 2], **SAMPLING)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_layout_of_real_size_does_not_depend_on_its_call_or_the_threads(precision, monkeypatch):
    model, _ = packaged.load_packaged()
    rng, sampling = np.random.default_rng(1), packaged_points.Settings(**{**SAMPLING, "precision": precision})
    labels = [rng.integers(0, 3, n).astype(np.uint8) for n in [80] * 5 + [30] * 3 + [150] * 4]
    seeds = list(range(len(labels)))
    together = batches.sample_points(model, labels, seeds, sampling)
    calls = [batches.sample_points(model, [one], [seed], sampling)[0] for one, seed in zip(labels, seeds, strict=True)]
    monkeypatch.setattr(batches, "PAIRS", 3 * 80**2)  # calls of 2, 3 and 1 layouts
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        others = batches.sample_points(model, labels, seeds, sampling)
    finally:
        torch.set_num_threads(threads)
    for one, two, three in zip(together, calls, others, strict=True):
        assert max(np.abs(one - two).max(), np.abs(one - three).max()) < 1e-4


@torch.no_grad()
def test_products_in_bf16_leave_the_model_alone_and_move_cells_little():
    model, _ = packaged.load_packaged()
    random = torch.Generator().manual_seed(0)
    points = batches.pad_labels([torch.randint(3, (80,), generator=random).numpy()], 3)
    x = (torch.rand(1, points.mask.shape[1], 2, generator=random) - 0.5) * 256
    before = {name: p.clone() for name, p in model.state_dict().items()}
    small = in_precision(model, "bf16")
    assert in_precision(model, "fp32") is model
    assert all(torch.equal(p, before[name]) for name, p in model.state_dict().items())
    assert {p.dtype for p in small.parameters()} == {torch.float32, torch.bfloat16}
    for level in (1.0, 10.0, 100.0):
        sigma = torch.tensor([level])
        moved = (small(x, sigma, *points) - model(x, sigma, *points)).abs()
        assert 0 < moved.max() < 0.05 * level + 0.5


def test_another_or_no_file_is_refused(tmp_path, monkeypatch):
    copy = tmp_path / "weights.safetensors"
    monkeypatch.setattr(packaged, "WEIGHTS", copy)
    with pytest.raises(CellscaperError, match="is missing from this installation"):
        packaged.load_packaged()
    copy.write_bytes(b"x")
    with pytest.raises(CellscaperError, match="is not the file this version came with"):
        packaged.load_packaged()


def test_fine_tuning_starts_with_them(tmp_path):
    model, facts = packaged.load_packaged()
    cells, section = targets(), facts["section"]
    settings = {**section["settings"], "start": "packaged"}
    started = point_diffusion.prepare(read_recipe({**section, "settings": settings}), cells, None, CPU).model
    for mine, theirs in zip(started.parameters(), model.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    settings["network"] = {**settings["network"], "width": 64}
    with pytest.raises(CellscaperError, match="their own network"):
        point_diffusion.prepare(read_recipe({**section, "settings": settings}), cells, None, CPU)
