"""The diffusion that paints images: what it sees, that it learns, that it paints the region alone."""

import numpy as np
import pytest
import torch

from cellscaper.diffusion import objective
from cellscaper.diffusion.schedule import make_schedule
from cellscaper.diffusion.settings import Ddim
from cellscaper.errors import CellscaperError
from cellscaper.layouts import Layout, LayoutSet
from cellscaper.painters.adm_weights import adm_name
from cellscaper.painters.diffusion import ImageNetwork, Settings, paint_batch, prepare
from cellscaper.plan.merging import overlay
from cellscaper.run.settings import read
from cellscaper.views.rasters import rasterise

CPU = torch.device("cpu")
CLASSES = 2
BLOCK = {
    "grid": {"region": 32, "stride": 1, "marker": 3, "pad": 0, "low": -1, "high": 1},
    "small": "error",
    "condition": {"kind": "markers"},
    "network": {"channels": 16, "blocks": 1, "multipliers": [1, 2], "attention": [], "head_channels": 16, "fold": 2},
    "diffusion": {
        "schedule": "linear", "steps": 100, "prediction": "noise", "learn_variance": True, "p2_gamma": 1.0, "p2_k": 1.0,
    },
    "training": {"steps": 10, "batch": 4, "lr": 1e-3},
}  # fmt: skip


def settings_with(**changes):
    """Settings with keys of their blocks replaced: settings_with(grid={"pad": 4})."""
    return read(Settings, overlay(BLOCK, changes), "painters diffusion")


def tissue(n=3):
    """Images that are dark at each cell's pixel; green says in which row a pixel is, blue in which column."""
    rng = np.random.default_rng(0)
    layouts, images = [], []
    for i in range(n):
        height, width = 40 + i, 50
        pixel = rng.choice(height * width, 30, replace=False)
        points = np.stack([pixel // width, pixel % width], axis=1)
        labels = rng.integers(0, CLASSES, 30).astype(np.uint8)
        image = np.full((height, width, 3), 200, np.uint8)
        image[..., 1], image[..., 2] = np.arange(height)[:, None], np.arange(width)
        image[points[:, 0], points[:, 1], 0] = 10 + labels
        layouts.append(Layout(points.astype(np.float32), labels, (height, width)))
        images.append(image)
    return LayoutSet.build(layouts, ("a", "b"), 0.5), images


def loss_of(settings):
    return prepare(settings, *tissue(), CPU)[1]


def markers_of(layouts, grid):
    points = torch.cat([torch.from_numpy(one.points) for one in layouts])
    labels = torch.cat([torch.from_numpy(one.labels).long() for one in layouts])
    index = torch.repeat_interleave(torch.tensor([len(one) for one in layouts]))
    return rasterise(points, labels, index, len(layouts), CLASSES, grid)


# -- training ----------------------------------------------------------------------------------------------


MIRRORED = {"both": (True, True), "horizontal": (False, True), "none": (False, False)}  # rows, columns


@pytest.mark.parametrize(
    ("pad", "padding", "outside", "flips"),
    [(0, "black", -1, "both"), (4, "black", -1, "horizontal"), (4, "white", 1, "none")],
)
def test_image_and_markers_of_a_batch_show_the_same_window(pad, padding, outside, flips, monkeypatch):
    seen = {}
    plain = objective.noised

    def spy(schedule, x0, drawn):
        seen["x0"] = x0
        return plain(schedule, x0, drawn)

    class Model(torch.nn.Module):
        def forward(self, x, t, markers):
            seen["markers"] = markers
            return torch.zeros(len(x), 6, *x.shape[2:])

    monkeypatch.setattr(objective, "noised", spy)
    settings = settings_with(grid={"pad": pad}, training={"batch": 12}, padding=padding, flips=flips)
    loss_of(settings)(Model(), torch.Generator().manual_seed(0), 0)
    x0, markers = seen["x0"], seen["markers"]
    assert x0.shape == (12, 3, 32 + 2 * pad, 32 + 2 * pad)
    assert markers.shape == (12, CLASSES, 32 + 2 * pad, 32 + 2 * pad)
    inner = (..., slice(pad, pad + 32), slice(pad, pad + 32))
    red = ((x0[:, 0] + 1) * 127.5).round()[inner]
    for k in range(CLASSES):
        cells = red == 10 + k
        expected = torch.nn.functional.max_pool2d(cells.float(), 3, 1, 1)  # 3×3 markers, cut at the window's border
        assert cells.sum() > 20
        assert torch.equal(markers[:, k][inner], 2 * expected - 1)
    rim = x0.clone()
    rim[inner] = outside
    assert (rim == outside).all()
    for channel, axis, is_mirrored in zip((1, 2), (-2, -1), MIRRORED[flips], strict=True):
        steps = ((x0[:, channel] + 1) * 127.5)[inner].diff(dim=axis).round()
        assert (steps.abs() == 1).all()  # neighbours stay neighbours
        assert (steps.flatten(1).amin(1) == -1).any() == is_mirrored
        assert (steps.flatten(1).amax(1) == 1).any()


CONDITIONS = [{"kind": "markers"}, {"kind": "distance", "reach": 5}, {"kind": "cross_attention", "width": 8}]


@pytest.mark.slow
@pytest.mark.parametrize(("prediction", "condition"), [("noise", CONDITIONS[0]), *(("v", one) for one in CONDITIONS)])
def test_a_few_steps_bring_the_loss_down(prediction, condition):
    settings = settings_with(diffusion={"prediction": prediction}, condition=condition)
    torch.manual_seed(0)
    model, loss = ImageNetwork(settings, CLASSES), loss_of(settings)

    def mean():
        with torch.no_grad():
            return np.mean([loss(model, torch.Generator().manual_seed(1000 + k), k)["noise"].item() for k in range(6)])

    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    before = mean()
    for k in range(25):
        terms = loss(model, torch.Generator().manual_seed(k), k)
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
    assert mean() < 0.8 * before


def test_the_network_is_as_large_as_the_padded_region_and_sees_the_markers():
    torch.manual_seed(0)
    model = ImageNetwork(settings_with(grid={"pad": 4}), CLASSES)
    for parameter in model.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    x, markers = torch.rand(1, 3, 40, 40), torch.rand(1, CLASSES, 40, 40)
    other = markers.clone()
    other[:, -1, 20, 20] += 1
    t = torch.zeros(1, dtype=torch.long)
    assert model(x, t, markers).shape == (1, 6, 40, 40)
    assert (model(x, t, markers) - model(x, t, other)).abs().max() > 0
    fixed = ImageNetwork(settings_with(diffusion={"learn_variance": False}), CLASSES)
    assert fixed(x, t, markers).shape == (1, 3, 40, 40)


def test_grids_that_images_do_not_have_are_refused():
    with pytest.raises(CellscaperError, match="grid stride 2 must be 1"):
        ImageNetwork(settings_with(grid={"stride": 2}), CLASSES)
    with pytest.raises(CellscaperError, match="multiples of 4"):
        ImageNetwork(settings_with(grid={"region": 30}), CLASSES)


# -- painting ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pad", "prediction"), [(0, "noise"), (4, "noise"), (4, "v")])
def test_a_model_that_knows_the_image_paints_it_exactly(pad, prediction):
    """Closed form, as for layouts; also: it is given the markers, and no pixel is lost or moved."""
    settings = settings_with(grid={"pad": pad}, diffusion={"prediction": prediction})
    schedule = make_schedule("linear", 100)
    cells, _ = tissue()
    layouts = [
        Layout(one.points[(one.points < 32).all(1)], one.labels[(one.points < 32).all(1)], (32, 32)) for one in cells
    ]
    images = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), np.uint8)
    x0 = torch.nn.functional.pad(torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1, (pad,) * 4, value=1.0)
    expected = markers_of(layouts, settings.grid)

    def model(x, t, markers):
        assert torch.equal(markers, expected)
        bar = schedule.alphas_bar[t].float().view(-1, 1, 1, 1)
        eps = (x - bar.sqrt() * x0) / (1 - bar).sqrt()
        wanted = eps if prediction == "noise" else bar.sqrt() * eps - (1 - bar).sqrt() * x0
        return torch.cat([wanted, torch.full_like(wanted, 5.0)], dim=1)

    painted = paint_batch(settings, model, layouts, CLASSES, [1, 2, 3], Ddim(steps=5, eta=0.0), CPU)
    assert painted.dtype == np.uint8
    np.testing.assert_array_equal(painted, images)


@pytest.mark.parametrize(("fold", "condition"), [*((fold, CONDITIONS[0]) for fold in (1, 2, 4)), (2, CONDITIONS[2])])
def test_an_image_is_the_same_whatever_the_batch(fold, condition):
    settings = settings_with(grid={"pad": 4}, network={"fold": fold}, condition=condition)
    torch.manual_seed(0)
    model = ImageNetwork(settings, CLASSES).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    empty = Layout(np.zeros((0, 2), np.float32), np.zeros(0, np.uint8), (32, 32))
    one = Layout(np.array([[3, 4], [20, 30]], np.float32), np.array([0, 1], np.uint8), (32, 32))
    layouts, seeds, sampling = [one, empty, one, empty], [9, 9, 4, 2**62], Ddim(steps=4, eta=0.3)
    together = paint_batch(settings, model, layouts, CLASSES, seeds, sampling, CPU)
    assert together.shape == (4, 32, 32, 3)
    for i in range(4):
        alone = paint_batch(settings, model, [layouts[i]], CLASSES, [seeds[i]], sampling, CPU)[0]
        assert np.abs(alone.astype(int) - together[i]).max() <= 1  # rounding of sums in another order
    assert (together[0] != together[1]).any()  # same noise, other cells
    assert (together[0] != together[2]).any()  # same cells, other noise


# -- the start of a training -----------------------------------------------------------------------------------


def test_defaults_are_those_of_sd():
    """SD: black around the image and horizontal flips; the network is that of the upsampler that it starts from."""
    found = Settings()
    assert (found.padding, found.flips, found.init) == ("black", "horizontal", None)
    assert (found.network.channels, found.network.heads, found.network.attention) == (192, 4, (64, 32, 16))
    assert found.network.attention == tuple(found.grid.side // factor for factor in (8, 16, 32))
    assert (found.diffusion.schedule, found.diffusion.p2_gamma) == ("linear", 1.0)


def test_a_training_starts_from_new_weights_or_from_a_file_and_says_which(tmp_path, capsys):
    cells, images = tissue()
    settings = settings_with(network={"heads": 4, "fold": 1})
    made = {adm_name(name): torch.randn_like(one) for name, one in ImageNetwork(settings, 3).net.state_dict().items()}
    torch.save(made, tmp_path / "upsampler.pt")
    models = []
    for init in (None, tmp_path / "upsampler.pt"):
        torch.manual_seed(5)
        models.append(prepare(settings, cells, images, CPU, init)[0].net.state_dict())
    new, started = capsys.readouterr().err.splitlines()[:2]
    assert new == "painter: training starts from new weights (init: null)"
    assert started == f"painter: training starts from the weights in {tmp_path}/upsampler.pt"
    assert torch.equal(models[1]["head.2.weight"], made["out.2.weight"])
    assert not models[0]["head.2.weight"].any()
    assert torch.equal(models[1]["stem.weight"][:, 3:], models[0]["stem.weight"][:, 3:])  # of the two layout channels
