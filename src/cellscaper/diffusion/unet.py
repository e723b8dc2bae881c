"""The U-Net of ADM (Dhariwal & Nichol 2021, *Diffusion Models Beat GANs on Image Synthesis*, section 3)."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import pixel_shuffle, pixel_unshuffle
from torch.utils.checkpoint import checkpoint as recompute

from cellscaper.errors import CellscaperError
from cellscaper.run.transfer import as_on_cuda

OCTAVES = 6  # frequencies of positions: ½, 1, … 16 waves over the side of a map


class Context(NamedTuple):
    """Tokens (B, N, width) that a map attends to, and a mask (B, N) bool of those that exist, at least one a row."""

    tokens: Tensor
    present: Tensor


def position_waves(position: Tensor) -> Tensor:
    """(…, 4 · octaves): sines and cosines of positions (…, 2), given as fractions of the side of a map."""
    frequency = torch.bitwise_left_shift(1, torch.arange(OCTAVES, device=position.device)) / 2  # no copy from the host
    angle = position[..., None] * (2 * math.pi * frequency.to(position.dtype))
    return torch.cat([angle.sin(), angle.cos()], dim=-1).flatten(-2)


class GroupNorm(nn.GroupNorm):
    """Group normalisation whose result has the type of its input in autocast too, as ADM's.

    The kernels sum in float32 whatever the input. CUDA's autocast would give them, and hand on, float32: twice the
    memory for all that follows. On CUDA the affine has the input's type, as its kernel demands.
    """

    def forward(self, x: Tensor) -> Tensor:
        affine: tuple[Tensor, Tensor] = self.weight, self.bias
        if as_on_cuda(x.device):
            affine = self.weight.to(x.dtype), self.bias.to(x.dtype)
        with torch.autocast(x.device.type, enabled=False):
            return functional.group_norm(x, self.num_groups, *affine, self.eps)


def norm(channels: int) -> GroupNorm:
    """GroupNorm with 32 groups, or the most that divide the channels with at least 4 channels each."""
    groups = max(g for g in range(1, 33) if channels % g == 0 and (g == 1 or channels // g >= 4))
    return GroupNorm(groups, channels)


def zeroed(module: nn.Module) -> nn.Module:
    """The module with all its parameters set to zero."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def timestep_embedding(t: Tensor, width: int) -> Tensor:
    """(B, width) float32: cosines and sines of t (B,) at width/2 frequencies from 1 down to 1/10000 (DDPM)."""
    half = width // 2
    frequency = torch.exp(-math.log(10_000) / half * torch.arange(half, device=t.device))
    angle = t[:, None].float() * frequency  # (B, width/2)
    return functional.pad(torch.cat([angle.cos(), angle.sin()], dim=1), (0, width % 2))


class Residual(nn.Module):
    """Two 3×3 convolutions with the embedding between them, added to the (resampled, 1×1-projected) input."""

    def __init__(
        self, inputs: int, outputs: int, width: int, dropout: float, scale_shift: bool, resample: str | None = None
    ):
        super().__init__()
        self.resample, self.scale_shift = resample, scale_shift
        self.norm1, self.conv1 = norm(inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.embed = nn.Linear(width, 2 * outputs if scale_shift else outputs)
        self.norm2, self.conv2 = norm(outputs), zeroed(nn.Conv2d(outputs, outputs, 3, padding=1))
        self.dropout = nn.Dropout(dropout)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor, context: Context | None = None) -> Tensor:
        """x (B, inputs, H, W), embedding (B, width) → (B, outputs, H', W'); the context is not used."""
        h = functional.silu(self.norm1(x))
        if self.resample is not None:
            h, x = _resample(h, self.resample), _resample(x, self.resample)
        h = self.conv1(h)
        e = self.embed(functional.silu(embedding))[:, :, None, None]
        if self.scale_shift:
            scale, shift = e.chunk(2, dim=1)
            h = torch.addcmul(shift, self.norm2(h), 1 + scale)
        else:
            h = self.norm2(h + e)
        return self.skip(x) + self.conv2(self.dropout(functional.silu(h)))


def _resample(x: Tensor, how: str) -> Tensor:
    if how == "down":
        return functional.avg_pool2d(x, 2)
    with torch.autocast(x.device.type, enabled=False):  # CUDA's would hand on float32
        return functional.interpolate(x, scale_factor=2.0, mode="nearest")


class Resample(nn.Module):
    """Resampling outside residual blocks: a convolution of stride 2, or nearest neighbour and a convolution."""

    def __init__(self, channels: int, how: str):
        super().__init__()
        self.how = how
        self.conv = nn.Conv2d(channels, channels, 3, stride=2 if how == "down" else 1, padding=1)

    def forward(self, x: Tensor, embedding: Tensor, context: Context | None = None) -> Tensor:
        """(B, C, H, W) → (B, C, H/2, W/2) or (B, C, 2H, 2W); embedding and context are not used."""
        return self.conv(x if self.how == "down" else _resample(x, "up"))


class Attention(nn.Module):
    """Self-attention over all pixels, in ``heads`` heads or, without them, in heads of ``head_channels`` channels.

    Channels fewer than ``head_channels`` are one head. The rows of ``qkv`` are the queries of all heads, then the keys,
    then the values.
    """

    def __init__(self, channels: int, head_channels: int, heads: int | None = None):
        super().__init__()
        self.heads = _heads(channels, head_channels, heads)
        self.norm = norm(channels)
        self.qkv, self.out = nn.Linear(channels, 3 * channels), zeroed(nn.Linear(channels, channels))

    def forward(self, x: Tensor, embedding: Tensor, context: Context | None = None) -> Tensor:
        """(B, C, H, W) → the same shape; embedding and context are not used."""
        b, c, height, width = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)  # (B, N, C)
        qkv = self.qkv(tokens).reshape(b, -1, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, N, C/heads)
        mixed = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, -1, c)
        return x + self.out(mixed).transpose(1, 2).reshape(b, c, height, width)


class CrossAttention(nn.Module):
    """Cross-attention of each pixel, with its place, to the tokens (``width``) of a context; added to the input.

    Heads as in :class:`Attention`.
    """

    def __init__(self, channels: int, head_channels: int, width: int, heads: int | None = None):
        super().__init__()
        self.heads = _heads(channels, head_channels, heads)
        self.norm = norm(channels)
        self.query = nn.Linear(channels + 4 * OCTAVES, channels)
        self.key_value = nn.Linear(width, 2 * channels)
        self.out = zeroed(nn.Linear(channels, channels))

    def forward(self, x: Tensor, embedding: Tensor, context: Context | None = None) -> Tensor:
        """(B, C, H, W) → the same shape; the embedding is not used. ValueError without a context."""
        if context is None:
            raise ValueError("this U-Net attends to a context, which is missing")
        b, c, height, width = x.shape
        rows, columns = ((torch.arange(n, device=x.device) + 0.5) / n for n in (height, width))
        places = position_waves(torch.cartesian_prod(rows, columns)).to(x.dtype)  # (HW, 4 · octaves)
        asked = torch.cat([self.norm(x).flatten(2).transpose(1, 2), places.expand(b, -1, -1)], dim=-1)
        q = self.query(asked).view(b, -1, self.heads, c // self.heads).transpose(1, 2)
        k, v = self.key_value(context.tokens).view(b, -1, 2, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        told = functional.scaled_dot_product_attention(q, k, v, attn_mask=context.present[:, None, None])
        told = self.out(told.transpose(1, 2).reshape(b, -1, c))
        return x + told.transpose(1, 2).reshape(b, c, height, width)


def _heads(channels: int, head_channels: int, heads: int | None) -> int:
    if heads is not None:
        if channels % heads:
            raise CellscaperError(f"{channels} channels do not split into {heads} attention heads")
        return heads
    if channels > head_channels and channels % head_channels:
        raise CellscaperError(f"{channels} channels do not split into attention heads of {head_channels}")
    return max(1, channels // head_channels)


class UNet(nn.Module):
    """The denoiser. Arguments and the papers' values in brackets (256×256 px):

    in_channels, out_channels  channels of x_t (plus concatenated maps) and of the output [3, 6: noise and variance]
    size           nominal side of the input in px; decides which levels attend [256]
    channels       base channels; the embedding has 4 times as many [256]
    blocks         residual blocks a level [2]
    multipliers    channels of each level, times ``channels``; the side halves between levels [1, 1, 2, 2, 4, 4]
    attention      sides in px of the feature maps with attention; sides that do not occur are ignored, and the
                   deepest level always has attention between its last two blocks [32, 16, 8]
    head_channels  channels of an attention head, used if ``heads`` is None [64]
    heads          number of attention heads [None; SD's image model: 4]
    scale_shift    the embedding scales and shifts the normalised features [True]; else it is added to them
    resample_in_blocks  up- and down-sampling inside residual blocks [True]; else by separate convolutions
    dropout        in the residual blocks [0]
    checkpoint     recompute activations in the backward pass: less memory, about a third more time [False]
    fold           fold × fold pixels enter as the channels of one position: about fold² times less work [1]
    context        width of context tokens, for cross-attention after each self-attention; None: no context [None]

    Raises CellscaperError if ``size`` is not divisible by fold · 2^(levels - 1).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: int,
        channels: int = 256,
        blocks: int = 2,
        multipliers: Sequence[int] = (1, 1, 2, 2, 4, 4),
        attention: Sequence[int] = (32, 16, 8),
        head_channels: int = 64,
        scale_shift: bool = True,
        resample_in_blocks: bool = True,
        dropout: float = 0.0,
        checkpoint: bool = False,
        fold: int = 1,
        context: int | None = None,
        heads: int | None = None,
    ):
        super().__init__()
        self.channels, self.width, self.checkpoint, self.fold = channels, 4 * channels, checkpoint, fold
        self.divisor = fold * 2 ** (len(multipliers) - 1)
        self._check_size(size, size)
        self.time = nn.Sequential(nn.Linear(channels, self.width), nn.SiLU(), nn.Linear(self.width, self.width))

        def residual(inputs: int, outputs: int, resample: str | None = None) -> nn.Module:
            return Residual(inputs, outputs, self.width, dropout, scale_shift, resample)

        def resampled(c: int, how: str) -> nn.Module:
            return residual(c, c, how) if resample_in_blocks else Resample(c, how)

        def attention_at(c: int) -> list[nn.Module]:
            crossed = [] if context is None else [CrossAttention(c, head_channels, context, heads)]
            return [Attention(c, head_channels, heads), *crossed]

        def attended(c: int, level: int) -> list[nn.Module]:
            return attention_at(c) if size // fold // 2**level in attention else []

        widths = [channels * multiplier for multiplier in multipliers]
        c = widths[0]
        self.stem = nn.Conv2d(in_channels * fold**2, c, 3, padding=1)
        self.down, skips = nn.ModuleList(), [c]
        for level, outputs in enumerate(widths):
            for _ in range(blocks):
                self.down.append(nn.ModuleList([residual(c, outputs), *attended(outputs, level)]))
                c = outputs
                skips.append(c)
            if level < len(widths) - 1:
                self.down.append(nn.ModuleList([resampled(c, "down")]))
                skips.append(c)
        self.middle = nn.ModuleList([residual(c, c), *attention_at(c), residual(c, c)])
        self.up = nn.ModuleList()
        for level, outputs in reversed(list(enumerate(widths))):
            for i in range(blocks + 1):
                layers = [residual(c + skips.pop(), outputs), *attended(outputs, level)]
                c = outputs
                if level > 0 and i == blocks:
                    layers.append(resampled(c, "up"))
                self.up.append(nn.ModuleList(layers))
        self.head = nn.Sequential(norm(c), nn.SiLU(), zeroed(nn.Conv2d(c, out_channels * fold**2, 3, padding=1)))

    def forward(self, x: Tensor, t: Tensor, condition: Tensor | None = None, context: Context | None = None) -> Tensor:
        """x (B, in_channels, H, W), steps t (B,) int64 → (B, out_channels, H, W) float32.

        condition (B, 4 · channels) is added to the embedding of t; ``context`` is for a U-Net with a context width.
        H and W need not be the nominal size.
        Raises CellscaperError if H or W is not divisible by fold · 2^(levels - 1).
        """
        self._check_size(*x.shape[-2:])
        embedding = self.time(timestep_embedding(t, self.channels))
        if condition is not None:
            embedding = embedding + condition
        h = self.stem(pixel_unshuffle(x, self.fold))
        skips = [h]
        for layers in self.down:
            h = self._through(cast(nn.ModuleList, layers), h, embedding, context)
            skips.append(h)
        h = self._through(self.middle, h, embedding, context)
        for layers in self.up:
            h = self._through(cast(nn.ModuleList, layers), torch.cat([h, skips.pop()], dim=1), embedding, context)
        with torch.autocast(h.device.type, enabled=False):  # few channels: float32 costs almost nothing
            return pixel_shuffle(self.head(h.float()), self.fold)

    def _through(self, layers: Iterable[nn.Module], h: Tensor, embedding: Tensor, context: Context | None) -> Tensor:
        for layer in layers:
            if self.checkpoint and torch.is_grad_enabled():
                h = recompute(layer, h, embedding, context, use_reentrant=False)
            else:
                h = layer(h, embedding, context)
        return h

    def _check_size(self, height: int, width: int) -> None:
        if height % self.divisor or width % self.divisor:
            raise CellscaperError(
                f"a {height}×{width} px input does not fit this U-Net: both sides must be multiples of {self.divisor} "
                "(fold · 2^(levels - 1)); change the size or use fewer multipliers"
            )
