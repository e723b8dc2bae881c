"""The U-Net against ADM's published size, explicit formulas and its own options."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from cellscaper.diffusion.conditioning import ClassCounts
from cellscaper.diffusion.unet import (
    Attention,
    Context,
    CrossAttention,
    Residual,
    UNet,
    norm,
    position_waves,
    timestep_embedding,
)
from cellscaper.errors import CellscaperError

SMALL = {"size": 16, "channels": 16, "blocks": 1, "multipliers": (1, 2), "attention": (8,), "head_channels": 8}


def randomised(module: nn.Module) -> nn.Module:
    """All parameters drawn anew, so that zero-initialised layers take part."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / math.sqrt(parameter[0].numel() + 1))
    return module


def batch(size: int = 16, channels: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(2, channels, size, size, generator=generator), torch.tensor([3, 800])


def test_paper_configuration_has_the_published_number_of_parameters():
    with torch.device("meta"):
        net = UNet(in_channels=3, out_channels=6, size=256)
        condition = ClassCounts(classes=3, width=net.width, scale=1.0)
    sizes = [sum(p.numel() for p in module.parameters()) for module in (net, condition)]
    assert sizes == [552_814_086, 1_053_696]
    assert sum(sizes) == 553_867_782


def test_attention_sits_on_the_named_sides_and_in_the_middle():
    with torch.device("meta"):
        net = UNet(3, 6, 256)
    channels = [layer.qkv.in_features for layer in net.modules() if isinstance(layer, Attention)]
    heads = {layer.qkv.in_features // layer.heads for layer in net.modules() if isinstance(layer, Attention)}
    assert channels == [512] * 2 + [1024] * 4 + [1024] + [1024] * 6 + [512] * 3  # encoder, middle, decoder
    assert heads == {64}


def test_output_is_zero_before_training_and_residual_blocks_pass_their_input():
    x, t = batch()
    net = UNet(3, 6, **SMALL)
    assert torch.equal(net(x, t), torch.zeros(2, 6, 16, 16))
    features, embedding = torch.randn(2, 8, 4, 4), torch.randn(2, 32)
    torch.testing.assert_close(Residual(8, 8, 32, 0.0, True)(features, embedding), features)
    assert torch.equal(Attention(8, 8)(features, embedding), features)


@pytest.mark.parametrize("scale_shift", [True, False])
@pytest.mark.parametrize("resample_in_blocks", [True, False])
def test_every_option_keeps_the_shape_and_feeds_every_parameter(scale_shift, resample_in_blocks):
    x, t = batch()
    options = {"scale_shift": scale_shift, "resample_in_blocks": resample_in_blocks}
    net = randomised(UNet(3, 6, **SMALL, **options))
    out = net(x, t, torch.randn(2, net.width))
    assert out.shape == (2, 6, 16, 16)
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize("scale_shift", [True, False])
@pytest.mark.parametrize("resample", [None, "down", "up"])
def test_residual_block_is_its_formula(scale_shift, resample):
    block = randomised(Residual(8, 12, 16, 0.0, scale_shift, resample))
    x, e = torch.randn(2, 8, 4, 4), torch.randn(2, 16)

    def change(z):
        if resample == "down":
            return z.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(-1, -2))
        return z.repeat_interleave(2, 2).repeat_interleave(2, 3) if resample == "up" else z

    h = block.conv1(change(functional.silu(block.norm1(x))))
    given = block.embed(functional.silu(e)).reshape(2, -1, 1, 1)
    h = block.norm2(h) * (1 + given[:, :12]) + given[:, 12:] if scale_shift else block.norm2(h + given)
    expected = block.skip(change(x)) + block.conv2(functional.silu(h))
    torch.testing.assert_close(block(x, e), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("channels", "head_channels", "given", "heads"), [(16, 8, None, 2), (16, 64, None, 1), (16, 8, 4, 4)]
)
def test_attention_is_explicit_softmax_attention(channels, head_channels, given, heads):
    layer = randomised(Attention(channels, head_channels, given))
    x = torch.randn(2, channels, 3, 5)
    tokens = layer.norm(x).flatten(2).transpose(1, 2)
    out = torch.zeros_like(tokens)
    q, k, v = layer.qkv(tokens).split(channels, dim=2)
    width = channels // heads
    for b in range(2):
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            weights = torch.softmax(q[b, :, part] @ k[b, :, part].T / math.sqrt(width), dim=1)
            out[b, :, part] = weights @ v[b, :, part]
    expected = x + layer.out(out).transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(layer(x, torch.zeros(2, 1)), expected, atol=1e-5, rtol=1e-5)
    assert layer.heads == heads


def test_attention_refuses_channels_that_do_not_split_into_heads():
    with pytest.raises(CellscaperError, match="96 channels"):
        Attention(96, 64)
    with pytest.raises(CellscaperError, match="^96 channels do not split into 5 attention heads$"):
        CrossAttention(96, 32, 8, heads=5)


def test_a_number_of_heads_holds_for_every_attention():
    net = UNet(3, 3, **SMALL, context=6, heads=4)
    assert [layer.heads for layer in net.modules() if isinstance(layer, Attention | CrossAttention)] == [4] * 8


def test_timestep_embedding_holds_cosines_and_sines_of_falling_frequencies():
    t, width = np.array([0, 1, 999]), 8
    angle = t[:, None] * 10_000.0 ** (-np.arange(4) / 4)
    expected = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    np.testing.assert_allclose(timestep_embedding(torch.from_numpy(t), width).numpy(), expected, atol=1e-4)


def test_condition_is_added_to_the_timestep_embedding():
    x, t = batch()
    net = randomised(UNet(3, 3, **SMALL))
    shift = torch.randn(2, net.width)
    conditioned, plain = net(x, t, shift), net(x, t)
    torch.testing.assert_close(net(x, t, torch.zeros(2, net.width)), plain)
    assert (conditioned - plain).abs().max() > 1e-3
    with torch.no_grad():
        net.time[2].bias += shift[0]
    torch.testing.assert_close(net(x, t)[0], conditioned[0], atol=1e-5, rtol=1e-5)


def test_another_input_size_works_and_an_indivisible_one_is_refused():
    net = randomised(UNet(3, 3, **SMALL))
    t = torch.tensor([5])
    assert net(torch.randn(1, 3, 24, 10), t).shape == (1, 3, 24, 10)
    with pytest.raises(CellscaperError, match=r"24×9 px.*multiples of 2"):
        net(torch.randn(1, 3, 24, 9), t)
    with pytest.raises(CellscaperError, match="30×30 px"):
        UNet(3, 3, size=30, channels=8, multipliers=(1, 1, 1))


@pytest.mark.parametrize("channels", [1, 3, 6, 16, 24, 32, 48, 192, 256, 1024, 1536])
def test_norm_has_32_groups_in_large_nets_and_divides_small_ones(channels):
    groups = norm(channels).num_groups
    assert channels % groups == 0
    assert groups == 32 if channels in (192, 256, 1024, 1536) else groups <= max(1, channels // 4)


def test_norm_statistics_are_float32_under_bf16():
    x = (torch.randn(2, 32, 8, 8, generator=torch.Generator().manual_seed(0)) + 20).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        ours = norm(32)(x).double()
    groups = x.double().reshape(2, 8, -1)
    exact = (groups - groups.mean(2, keepdim=True)) / (groups.var(2, keepdim=True, correction=0) + 1e-5).sqrt()
    assert (ours - exact.reshape(x.shape)).abs().max() < 0.03  # rounding of the result alone: 2^-8 of up to 4


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("tokens", [None, 6])  # layouts, and images with cross-attention
def test_checkpointing_changes_neither_output_nor_gradients(precision, tokens):
    x, t = batch()
    given = None if tokens is None else context()
    plain, saving = (randomised(UNet(3, 3, **SMALL, context=tokens, checkpoint=kept)) for kept in (False, True))
    outputs = []
    for net in (plain, saving):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            outputs.append(net(x, t, context=given))
        outputs[-1].square().mean().backward()
    assert torch.equal(*outputs)
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(plain.parameters(), saving.parameters(), strict=True))


def test_output_is_float32_and_close_under_bf16_autocast():
    x, t = batch()
    net = randomised(UNet(3, 3, **SMALL))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rough = net(x, t)
    exact = net(x, t)
    assert rough.dtype == torch.float32
    assert (rough - exact).norm() / exact.norm() < 0.05


def test_dropout_acts_in_training_only():
    x, t = batch()
    net = randomised(UNet(3, 3, **SMALL, dropout=0.5))
    assert not torch.equal(net(x, t), net(x, t))
    net.eval()
    assert torch.equal(net(x, t), net(x, t))


def test_folded_net_is_the_plain_net_on_blocks_of_pixels():
    x, t = batch()
    folded = randomised(UNet(3, 6, fold=2, **SMALL))
    plain = randomised(UNet(12, 24, **{**SMALL, "size": 8}))
    blocks = x.reshape(2, 3, 8, 2, 8, 2).permute(0, 1, 3, 5, 2, 4).reshape(2, 12, 8, 8)
    out = plain(blocks, t).reshape(2, 6, 2, 2, 8, 8).permute(0, 1, 4, 2, 5, 3).reshape(2, 6, 16, 16)
    torch.testing.assert_close(folded(x, t), out, atol=1e-5, rtol=1e-5)
    with pytest.raises(CellscaperError, match=r"18×18 px.*multiples of 4"):
        folded(torch.randn(1, 3, 18, 18), t[:1])


# -- cross-attention ---------------------------------------------------------------------------------------


def context(n: int = 7, width: int = 6) -> Context:
    generator = torch.Generator().manual_seed(3)
    present = torch.ones(2, n, dtype=torch.bool)
    present[1, 3:] = False
    return Context(torch.randn(2, n, width, generator=generator), present)


@pytest.mark.parametrize("heads", [{"head_channels": 4}, {"head_channels": 8, "heads": 2}])
def test_cross_attention_is_torch_s_multi_head_attention(heads):
    """torch's module with the same weights, pixel by pixel; places are those of the pixels' centres."""
    layer, given = randomised(CrossAttention(8, width=6, **heads)), context()
    x = torch.randn(2, 8, 3, 5)
    oracle = nn.MultiheadAttention(8, 2, kdim=6, vdim=6, batch_first=True)
    with torch.no_grad():
        oracle.q_proj_weight.copy_(torch.eye(8))
        oracle.k_proj_weight.copy_(layer.key_value.weight[:8])
        oracle.v_proj_weight.copy_(layer.key_value.weight[8:])
        oracle.in_proj_bias.copy_(torch.cat([torch.zeros(8), layer.key_value.bias]))
        oracle.out_proj.weight.copy_(layer.out.weight)
        oracle.out_proj.bias.copy_(layer.out.bias)
    place = torch.tensor([[(i + 0.5) / 3, (j + 0.5) / 5] for i in range(3) for j in range(5)])
    turns = 2 * math.pi * place[:, :, None] * torch.tensor([0.5, 1, 2, 4, 8, 16])
    waves = torch.cat([turns.sin(), turns.cos()], dim=2).reshape(15, -1)
    torch.testing.assert_close(position_waves(place), waves)
    pixels = layer.norm(x).flatten(2).transpose(1, 2)
    asked = layer.query(torch.cat([pixels, waves.expand(2, -1, -1)], dim=2))
    told, _ = oracle(asked, given.tokens, given.tokens, key_padding_mask=~given.present)
    expected = x + told.transpose(1, 2).reshape(2, 8, 3, 5)
    torch.testing.assert_close(layer(x, torch.zeros(2, 1), given), expected, rtol=1e-4, atol=1e-5)


def test_a_u_net_attends_to_its_context_wherever_it_attends():
    x, t = batch()
    net = randomised(UNet(3, 6, **SMALL, context=6))
    places = [sum(isinstance(m, kind) for m in net.modules()) for kind in (Attention, CrossAttention)]
    assert places[0] == places[1] > 1
    given = context()
    out = net(x, t, context=given)
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
    other = given.tokens.clone()
    other[1, 3:] += 1  # absent
    torch.testing.assert_close(net(x, t, context=Context(other, given.present)), out)
    other[1, 0] += 1
    changed = (net(x, t, context=Context(other, given.present)) - out).flatten(1).abs().amax(1)
    assert changed[0] < 1e-5 < changed[1]
    with pytest.raises(ValueError, match="attends to a context"):
        net(x, t)
    saving = UNet(3, 6, **SMALL, context=6, checkpoint=True)
    saving.load_state_dict(net.state_dict())
    torch.testing.assert_close(saving(x, t, context=given), out)
