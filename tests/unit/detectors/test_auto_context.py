"""The second pass that names cells by their surroundings: what it sees, and that it learns from it."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from cellscaper.detectors.auto_context import LEAST, SURROUNDINGS, AutoContext, blurred, learn, surroundings
from cellscaper.layouts import Layout

SIZE = (120, 150)


def some_maps(seed: int = 0) -> torch.Tensor:
    """Maps (1, 1 + 2, H, W) whose names add up to 1."""
    cell, name = torch.rand(1, 2, *SIZE, generator=torch.Generator().manual_seed(seed)).split(1, 1)
    return torch.cat([cell, name, 1 - name], 1)


@pytest.mark.parametrize("sd", [2.0, 4.0])
def test_narrow_gaussian_against_scipy(sd: float) -> None:
    maps = some_maps()
    wanted = ndimage.gaussian_filter(
        maps[0].double().numpy(), (0, sd, sd), mode="nearest", radius=(0, *[int(3 * sd)] * 2)
    )
    assert np.abs(blurred(maps, sd)[0].numpy() - wanted).max() < 1e-5


@pytest.mark.parametrize("sd", [8.0, 16.0, 32.0, 64.0])
def test_wide_gaussian_on_means_of_blocks_is_near_scipys(sd: float) -> None:
    y, x = np.mgrid[:601, :630]
    field = np.exp(-((y - 300) ** 2 + (x - 310) ** 2) / (2 * 20**2))
    wanted = ndimage.gaussian_filter(field, sd, mode="nearest", truncate=3)
    found = blurred(torch.from_numpy(field)[None, None], sd)[0, 0].numpy()
    assert np.abs(found - wanted).max() < 0.03 * wanted.max()


def test_it_sees_each_class_in_each_surroundings_and_in_the_whole_image() -> None:
    maps = some_maps()
    seen = surroundings(maps)[0]
    joint = maps[0, :1] * maps[0, 1:]
    assert len(seen) == 2 * (len(SURROUNDINGS) + 1) + 1
    for at, sd in enumerate(SURROUNDINGS):
        wanted = (blurred(joint[None], sd)[0] + LEAST).log()
        assert torch.allclose(seen[2 * at : 2 * at + 2], wanted, atol=1e-5)
    assert torch.allclose(seen[-3:-1], (joint.mean((1, 2)) + LEAST).log()[:, None, None].expand(2, *SIZE), atol=1e-5)
    assert torch.allclose(seen[-1], blurred(maps[:, :1], SURROUNDINGS[0])[0, 0], atol=1e-5)


def test_names_stay_as_they_are_until_it_has_learned() -> None:
    maps = some_maps()
    assert torch.equal(AutoContext(2)(maps), maps[:, 1:])


def districts(seed: int) -> tuple[torch.Tensor, Layout]:
    """Cells whose class is that of their half of the image; of their own names two thirds are right."""
    rng = np.random.default_rng(seed)
    points = np.stack(np.meshgrid(np.arange(8, SIZE[0], 12), np.arange(9, SIZE[1], 12), indexing="ij"), -1).reshape(
        -1, 2
    )
    labels = ((points[:, 1] > SIZE[1] / 2) ^ (seed % 2)).astype(np.uint8)
    cell, first = np.full(SIZE, 0.01), np.full(SIZE, 0.5)
    for (y, x), label in zip(points, labels, strict=True):
        own = label if rng.random() < 0.667 else 1 - label
        cell[y - 2 : y + 3, x - 2 : x + 3] = 0.9
        first[y - 2 : y + 3, x - 2 : x + 3] = 0.7 if own == 0 else 0.3
    maps = torch.from_numpy(np.stack([cell, first, 1 - first]))[None].float()
    return maps, Layout(points.astype(np.float32), labels, SIZE, f"{seed}")


def read(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The centre of each region above ½, its name there."""
    regions, n = ndimage.label(maps[0] > 0.5)
    points = np.array(ndimage.center_of_mass(maps[0], regions, range(1, n + 1))).reshape(n, 2)
    y, x = np.rint(points).astype(int).T
    return points.astype(np.float32), maps[1:, y, x].argmax(0).astype(np.uint8)


def share_right(maps: torch.Tensor, layout: Layout) -> float:
    points, labels = read(maps[0].numpy())
    assert np.allclose(points, layout.points)
    return float((labels == layout.labels).mean())


def test_it_names_cells_of_unseen_images_by_their_surroundings() -> None:
    torch.manual_seed(0)
    second = AutoContext(2)
    maps, layouts = zip(*(districts(seed) for seed in range(16)), strict=True)
    assert learn(second, maps, layouts, read) == sum(len(one.points) for one in layouts)
    before, after = [], []
    for new, layout in map(districts, range(100, 108)):
        named = torch.cat([new[:, :1], second(new)], 1)
        assert torch.allclose(named[:, 1:].sum(1), torch.ones(1, *SIZE))
        before.append(share_right(new, layout))
        after.append(share_right(named, layout))
    assert np.mean(before) < 0.7 and np.mean(after) > 0.8
    assert not any(one.requires_grad for one in second.parameters())


def test_cells_that_match_none_teach_nothing() -> None:
    second = AutoContext(2)
    before = {name: one.clone() for name, one in second.state_dict().items()}
    maps, layout = districts(0)
    far = Layout(np.full((1, 2), 2, np.float32), np.zeros(1, np.uint8), SIZE, "far")
    assert learn(second, [maps], [far], read) == 0
    assert all(torch.equal(before[name], one) for name, one in second.state_dict().items())
    half = Layout(layout.points[::2], layout.labels[::2], SIZE, "half")
    assert learn(second, [maps], [half], read) == len(half.points)
    assert second.learned
