"""ADM's upsampler in our U-Net: names, shapes and outputs against a U-Net of its own, written here; bad files."""

import math
import os

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from cellscaper.diffusion.unet import UNet
from cellscaper.errors import CellscaperError
from cellscaper.painters.adm_weights import converted, read_state, start_from_upsampler

# -- the oracle: the U-Net of the upsampler as functions of its state dict ---------------------------------------


def layers(channels, multipliers, blocks, attention):
    """The layers of each block of the upsampler, in order: (block, [(kind, inputs, outputs)]).

    ``attention``: factors by which the maps with attention are smaller than the input.
    """
    found = [("input_blocks.0", [("conv", 6, channels)])]
    kept, c, factor = [channels], channels, 1
    for level, multiplier in enumerate(multipliers):
        width = multiplier * channels
        for _ in range(blocks):
            found.append([("res", c, width), *[("attention", width, width)] * (factor in attention)])
            c = width
            kept.append(c)
        if level + 1 < len(multipliers):
            found.append([("down", c, c)])
            kept.append(c)
            factor *= 2
    found = found[:1] + [(f"input_blocks.{i}", one) for i, one in enumerate(found[1:], 1)]
    found.append(("middle_block", [("res", c, c), ("attention", c, c), ("res", c, c)]))
    i = 0
    for level in reversed(range(len(multipliers))):
        width = multipliers[level] * channels
        for last in [False] * blocks + [True]:
            block = [("res", c + kept.pop(), width), *[("attention", width, width)] * (factor in attention)]
            c = width
            if level and last:
                block.append(("up", c, c))
                factor //= 2
            found.append((f"output_blocks.{i}", block))
            i += 1
    return [*found, ("out", [("head", c, 6)])]


def shapes(channels, *network):
    """Names and shapes of the upsampler's tensors."""
    embedded = 4 * channels
    found = {"label_emb.weight": (1000, embedded)}

    def add(name, *weight, bias=None):
        found[f"{name}.weight"] = weight
        found[f"{name}.bias"] = (bias or weight[0],)

    add("time_embed.0", embedded, channels)
    add("time_embed.2", embedded, embedded)
    for block, inside in layers(channels, *network):
        for i, (kind, a, b) in enumerate(inside):
            name = f"{block}.{i}"
            if kind == "conv":
                add(name, b, a, 3, 3)
            elif kind == "head":
                add("out.0", a)
                add("out.2", b, a, 3, 3)
            elif kind == "attention":
                add(f"{name}.norm", a)
                add(f"{name}.qkv", 3 * a, a, 1)
                add(f"{name}.proj_out", a, a, 1)
            else:
                add(f"{name}.in_layers.0", a)
                add(f"{name}.in_layers.2", b, a, 3, 3)
                add(f"{name}.emb_layers.1", 2 * b, embedded)
                add(f"{name}.out_layers.0", b)
                add(f"{name}.out_layers.3", b, b, 3, 3)
                if a != b:
                    add(f"{name}.skip_connection", b, a, 1, 1)
    return found


def drawn(*network):
    """A state dict with random values that keep the size of the features."""
    random = torch.Generator().manual_seed(3)
    found = {}
    for name, shape in shapes(*network).items():
        fan = math.prod(shape[1:]) if len(shape) > 1 else 10
        found[name] = torch.randn(shape, generator=random) / math.sqrt(fan) + (name.endswith("norm.weight"))
    return found


def of(state, name):
    return state[f"{name}.weight"], state[f"{name}.bias"]


def normed(state, name, x):
    return functional.group_norm(x, 32, *of(state, name))


def residual(state, name, x, embedding, kind):
    h = functional.silu(normed(state, f"{name}.in_layers.0", x))
    if kind == "down":
        h, x = (functional.avg_pool2d(one, 2) for one in (h, x))
    if kind == "up":
        h, x = (one.repeat_interleave(2, 2).repeat_interleave(2, 3) for one in (h, x))
    h = functional.conv2d(h, *of(state, f"{name}.in_layers.2"), padding=1)
    given = functional.linear(functional.silu(embedding), *of(state, f"{name}.emb_layers.1"))
    scale, shift = given[:, :, None, None].chunk(2, dim=1)
    h = functional.silu(normed(state, f"{name}.out_layers.0", h) * (1 + scale) + shift)
    h = functional.conv2d(h, *of(state, f"{name}.out_layers.3"), padding=1)
    if f"{name}.skip_connection.weight" in state:
        x = functional.conv2d(x, *of(state, f"{name}.skip_connection"))
    return x + h


def attended(state, name, x, heads=4):
    """Attention with the rows of qkv ordered by head: q, k and v of the first head, then of the second …"""
    flat = x.flatten(2)
    width = x.shape[1] // heads
    rows = functional.conv1d(normed(state, f"{name}.norm", flat), *of(state, f"{name}.qkv"))
    mixed = []
    for head in range(heads):
        q, k, v = rows[:, 3 * width * head : 3 * width * (head + 1)].split(width, dim=1)  # (B, width, pixels)
        weights = torch.softmax(q.transpose(1, 2) @ k / math.sqrt(width), dim=2)
        mixed.append(v @ weights.transpose(1, 2))
    out = functional.conv1d(torch.cat(mixed, dim=1), *of(state, f"{name}.proj_out"))
    return x + out.view(x.shape)


def upsampler(state, network, x, small, t):
    """The upsampler on noisy images x (B, 3, H, W) and small images, without a class."""
    channels = network[0]
    frequency = 10_000.0 ** (-torch.arange(channels // 2) / (channels // 2))
    angle = t[:, None] * frequency
    embedding = functional.linear(torch.cat([angle.cos(), angle.sin()], dim=1), *of(state, "time_embed.0"))
    embedding = functional.linear(functional.silu(embedding), *of(state, "time_embed.2"))
    large = functional.interpolate(small, x.shape[2:], mode="bilinear")
    h, kept = torch.cat([x, large], dim=1), []
    for block, inside in layers(*network):
        if block.startswith("output"):
            h = torch.cat([h, kept.pop()], dim=1)
        for i, (kind, _, _) in enumerate(inside):
            name = f"{block}.{i}"
            if kind == "conv":
                h = functional.conv2d(h, *of(state, name), padding=1)
            elif kind == "head":
                h = functional.conv2d(functional.silu(normed(state, "out.0", h)), *of(state, "out.2"), padding=1)
            elif kind == "attention":
                h = attended(state, name, h)
            else:
                h = residual(state, name, h, embedding, kind)
        if block.startswith("input"):
            kept.append(h)
    return h


# -- what comes out ------------------------------------------------------------------------------------------------

FULL = (192, (1, 1, 2, 2, 4, 4), 2, (8, 16, 32))
SMALL = (128, (1, 2), 1, (2,))  # 32 groups in each norm, as in the full size
TINY = (16, (1, 2), 1, (2,))


def ours(network, size=16, inputs=6, outputs=6, **changes):
    channels, multipliers, blocks, attention = network
    own = {"channels": channels, "multipliers": multipliers, "blocks": blocks, "heads": 4} | changes
    return UNet(inputs, outputs, size, attention=[size // factor for factor in attention], **own)


@pytest.fixture
def state():
    return drawn(*TINY)


@pytest.fixture
def file(state, tmp_path):
    """A tiny upsampler as torch writes it."""
    torch.save(state, tmp_path / "upsampler.pt")
    return tmp_path / "upsampler.pt"


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_the_u_net_with_the_upsampler_s_weights_is_the_upsampler(ending, tmp_path, capsys):
    state, file = drawn(*SMALL), tmp_path / f"upsampler.{ending}"
    {"pt": torch.save, "safetensors": save_file}[ending](state, file)
    torch.manual_seed(0)
    net = ours(SMALL)
    x, small, t = torch.randn(2, 3, 16, 16), torch.randn(2, 3, 4, 4), torch.tensor([7, 930])
    start_from_upsampler(net, file, 16)
    assert f"starts from the weights in {file}, without its classes\n" in capsys.readouterr().err
    large = functional.interpolate(small, (16, 16), mode="bilinear")
    with torch.no_grad():
        out, expected = net(torch.cat([x, large], dim=1), t), upsampler(state, SMALL, x, small, t)
    assert 0.3 < expected.std() < 3
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)


def test_the_public_upsampler_fits_the_painter_of_sd_name_by_name():
    """312 M parameters, the size that Dhariwal and Nichol give for 64 → 256."""
    with torch.device("meta"):
        net = ours(FULL, 512)
        state = {name: torch.empty(shape) for name, shape in shapes(*FULL).items()}
    assert round(sum(one.numel() for one in state.values()) / 1e6) == 312
    found = converted(net, state, "upsampler.pt", 512)
    assert {name: one.shape for name, one in found.items()} == {
        name: one.shape for name, one in net.state_dict().items()
    }
    net.load_state_dict(found)


@pytest.mark.parametrize("inputs", [3, 5, 9])
def test_a_painter_of_other_classes_copies_the_channels_of_the_image(inputs, state, file, capsys):
    torch.manual_seed(0)
    net = ours(TINY, inputs=inputs)
    before = net.stem.weight.detach().clone()
    start_from_upsampler(net, file, 16)
    stem = net.stem.weight.detach()
    assert torch.equal(stem[:, :3], state["input_blocks.0.0.weight"][:, :3])
    assert torch.equal(stem[:, 3:], before[:, 3:])
    assert torch.equal(net.stem.bias, state["input_blocks.0.0.bias"])
    told = f"6 input channels, this painter has {inputs}: the 3 of the image are copied, the {inputs - 3} of the layout"
    assert told in capsys.readouterr().err


# -- what does not fit ---------------------------------------------------------------------------------------------

FITS = "it fits network: {channels: 192, heads: 4, attention: [64, 32, 16]}"


def without(name):
    return lambda state: state.pop(name)


def another(name, *shape):
    return lambda state: state.update({name: torch.zeros(shape)})


@pytest.mark.parametrize(
    ("spoil", "changes", "message"),
    [
        (None, {"channels": 32}, "{file}: time_embed.0.weight is 64×16, the painter's is 128×32; "),
        (None, {"heads": 8}, "{file}: its attention has 4 heads, the painter's 8; "),
        (None, {"heads": None, "head_channels": 16}, "{file}: its attention has 4 heads, the painter's 2; "),
        (None, {"outputs": 3}, "{file}: out.2.weight is 6×16×3×3, the painter's is 3×16×3×3; "),
        (None, {"fold": 2}, "{file}: input_blocks.0.0.weight is 16×6×3×3, the painter's is 16×24×3×3; "),
        (None, {"multipliers": (2, 4), "inputs": 5}, "input_blocks.0.0.weight is 16×6×3×3, the painter's is 32×5×3×3"),
        (None, {"scale_shift": False}, "{file}: input_blocks.1.0.emb_layers.1.weight is 32×64, the painter's is 16×64"),
        (None, {"blocks": 2}, "{file}: input_blocks.3.0.in_layers.2.weight is 32×16×3×3, the painter's is 16×16×3×3"),
        (None, {"resample_in_blocks": False}, "{file} has no tensor input_blocks.2.0.conv.weight, the painter has one"),
        (None, {"context": 8}, "{file} has no tensor input_blocks.3.2.norm.weight, the painter has one of 32; "),
        (
            without("middle_block.1.qkv.bias"),
            {},
            "{file} has no tensor middle_block.1.qkv.bias, the painter has one of",
        ),
        (another("input_blocks.9.0.weight", 2, 3), {}, "{file} has a tensor input_blocks.9.0.weight of 2×3, the paint"),
        (another("out.2.bias", 7), {}, "{file}: out.2.bias is 7, the painter's is 6; "),
        (
            another("input_blocks.0.0.weight", 16, 3, 3, 3),
            {"inputs": 5},
            "weight is 16×3×3×3, the painter's is 16×5×3×3",
        ),
    ],
)
def test_weights_that_do_not_fit_are_told_with_the_tensor_and_the_settings(spoil, changes, message, state, file):
    if spoil is not None:
        state = dict(state)
        spoil(state)
        torch.save(state, file)
    with pytest.raises(CellscaperError) as caught:
        start_from_upsampler(ours(TINY, **changes), file, 512)
    assert message.format(file=file) in str(caught.value)
    assert FITS in str(caught.value) and "\n" not in str(caught.value)


class Code:
    """A pickle that would make a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("none.pt", lambda path: None, "none.pt does not exist; correct the painter's `init`"),
        ("folder.pt", lambda path: path.mkdir(), "folder.pt does not exist"),
        ("text.pt", lambda path: path.write_text("64 to 256\n"), "text.pt is not a readable file of weights"),
        ("text.safetensors", lambda path: path.write_text("64 to 256\n"), "text.safetensors is not a readable file of"),
        ("empty.pt", lambda path: path.write_bytes(b""), "empty.pt is not a readable file of weights"),
        ("upsampler.ckpt", lambda path: path.write_text("x"), "the ending '.ckpt' must be .pt or .safetensors"),
        ("cut.pt", lambda path: (torch.save({"a": torch.ones(999)}, path), cut(path)), "cut.pt is not a readable file"),
        (
            "cut.safetensors",
            lambda path: (save_file({"a": torch.ones(999)}, path), cut(path)),
            "cut.safetensors is not",
        ),
        ("code.pt", lambda path: torch.save({"a": Code(path.parent / "made")}, path), "code.pt is not a readable file"),
        ("list.pt", lambda path: torch.save([torch.ones(2)], path), "list.pt holds no state dict"),
        ("nothing.pt", lambda path: torch.save({}, path), "nothing.pt holds no state dict"),
        ("nested.pt", lambda path: torch.save({"model": {"a": torch.ones(2)}}, path), "nested.pt holds no state dict"),
        ("whole.pt", lambda path: torch.save({"a": torch.ones(2).int()}, path), "whole.pt holds no state dict"),
    ],
)
def test_files_without_weights_are_refused_in_one_line(name, write, words, tmp_path):
    write(tmp_path / name)
    with pytest.raises(CellscaperError) as caught:
        read_state(tmp_path / name)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "made").exists()
