"""The start of a painter from ADM's public upsampler of 64 to 256 px (SD section 3; docs/methods.md, section 7).

The file is the state dict of a U-Net (Dhariwal and Nichol 2021) that sees the noisy image and an enlarged small image:
192 channels, two residual blocks a level, attention in 4 heads at 1/8, 1/16 and 1/32 of the side, learned variance. It
also embeds the classes of ImageNet, which a painter leaves out.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from cellscaper.diffusion.unet import Attention, UNet
from cellscaper.errors import CellscaperError
from cellscaper.training.state import say

HEADS = 4  # the rows of its qkv are ordered by head, and no shape tells how many there are
RGB, STEM = 3, 6  # channels of an image, of its input
CLASSES = "label_emb.weight"
BLOCKS = {
    "time": "time_embed",
    "stem": "input_blocks.0.0",
    "down": "input_blocks",
    "middle": "middle_block",
    "up": "output_blocks",
    "head": "out",
}
LAYERS = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "embed": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "skip": "skip_connection",
    "out": "proj_out",
}


def start_from_upsampler(net: UNet, file: Path, side: int) -> None:
    """Give ``net`` the weights of the upsampler in ``file``; ``side`` px of its input, for error lines.

    CellscaperError if the file is not readable or does not fit (:func:`read_state`, :func:`converted`).
    """
    state = read_state(file)
    net.load_state_dict(converted(net, state, file, side))
    left_out = ", without its classes" if CLASSES in state else ""
    say(f"painter: training starts from the weights in {file}{left_out}")
    channels = net.stem.in_channels
    if channels != STEM:
        say(
            f"painter: {file} has {STEM} input channels, this painter has {channels}: the {RGB} of the image are "
            f"copied, the {channels - RGB} of the layout start anew"
        )


def read_state(file: Path) -> dict[str, Tensor]:
    """The tensors by name in a .safetensors file, or in a .pt file of torch, whose code is never run.

    CellscaperError for a file that is missing, unreadable or no state dict of floating-point tensors.
    """
    if file.suffix not in (".pt", ".safetensors"):
        raise CellscaperError(f"{file}: the ending {file.suffix!r} must be .pt or .safetensors; name a file of weights")
    if not file.is_file():
        raise CellscaperError(f"{file} does not exist; correct the painter's `init`")
    try:
        safe = file.suffix == ".safetensors"
        state = load_file(file) if safe else torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or foreign file may raise any exception
        raise CellscaperError(
            f"{file} is not a readable file of weights ({type(error).__name__}): it is truncated, no {file.suffix} "
            "file, or holds more than tensors; download it again"
        ) from error
    if not isinstance(state, Mapping) or not state or not all(map(_is_weight, state.items())):
        raise CellscaperError(
            f"{file} holds no state dict, which maps names to floating-point tensors; name a file of such weights"
        )
    return dict(state)


def _is_weight(item: tuple[object, object]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], Tensor) and item[1].is_floating_point()


def adm_name(name: str) -> str:
    """The upsampler's name for a tensor of :class:`cellscaper.diffusion.unet.UNet`."""
    block, *rest = name.split(".")
    if block == "down":
        rest[0] = str(int(rest[0]) + 1)  # the stem counts as the first block there
    return ".".join([BLOCKS[block], *(LAYERS.get(one, one) for one in rest)])


def converted(net: UNet, state: Mapping[str, Tensor], file: Path, side: int) -> dict[str, Tensor]:
    """The upsampler's tensors in the names, shapes and order of ``net``, float32.

    If the network's input has another number of channels, those of the layout keep their own weights.
    CellscaperError for a tensor that is missing, left over or of another shape, and for another number of heads.
    """
    fit = (
        f"it fits network: {{channels: 192, heads: {HEADS}, attention: [{side // 8}, {side // 16}, {side // 32}]}} "
        "with the defaults of other keys, a learned variance and condition markers or distance"
    )
    for layer in net.modules():
        if isinstance(layer, Attention) and layer.heads != HEADS:
            raise CellscaperError(f"{file}: its attention has {HEADS} heads, the painter's {layer.heads}; {fit}")
    rest = {name: tensor for name, tensor in state.items() if name != CLASSES}
    found = {}
    for name, own in net.state_dict().items():
        theirs = rest.pop(adm_name(name), None)
        if theirs is None:
            raise CellscaperError(f"{file} has no tensor {adm_name(name)}, the painter has one of {_shape(own)}; {fit}")
        value = theirs.float()
        if value.dim() == own.dim() + 1 and value.shape[-1] == 1:  # attention is a 1-dimensional convolution there
            value = value[..., 0]
        if name == "stem.weight" and net.fold == 1 and value.shape == (len(own), STEM, *own.shape[2:]) != own.shape:
            value = torch.cat([value[:, :RGB], own[:, RGB:]], dim=1)
        if value.shape != own.shape:
            raise CellscaperError(
                f"{file}: {adm_name(name)} is {_shape(theirs)}, the painter's is {_shape(own)}; {fit}"
            )
        found[name] = _by_kind(value) if ".qkv." in name else value
    for name, tensor in rest.items():
        raise CellscaperError(f"{file} has a tensor {name} of {_shape(tensor)}, the painter has none; {fit}")
    return found


def _by_kind(rows: Tensor) -> Tensor:
    """Rows of qkv (3C, …) ordered by head, in each head q, k, v → q of all heads, then k, then v."""
    return rows.unflatten(0, (HEADS, 3, -1)).transpose(0, 1).flatten(0, 2)


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape))
