"""What a training does on CUDA alone, taken on a CPU by the switch CELLSCAPER_AS_ON_CUDA."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from cellscaper.diffusion.unet import UNet
from cellscaper.run.transfer import SWITCH, to_device
from cellscaper.training import cuda_autocast as casts
from cellscaper.training.network import Network, like_cuda
from cellscaper.training.settings import Training
from cellscaper.training.trainer import train

CPU = torch.device("cpu")
SMALL = {"size": 16, "channels": 16, "blocks": 1, "multipliers": (1, 2), "attention": (8,), "head_channels": 8}
NOT_HERE = {  # recurrent cells, cuDNN's own names, and what CUDA's autocast refuses
    "_scaled_dot_product_flash_attention", "_thnn_fused_gru_cell", "_thnn_fused_lstm_cell", "binary_cross_entropy",
    "cudnn_convolution", "cudnn_convolution_transpose", "gru_cell", "lstm_cell", "rnn_relu_cell", "rnn_tanh_cell",
}  # fmt: skip


@pytest.fixture
def switched(monkeypatch):
    monkeypatch.setenv(SWITCH, "1")


# -- every training -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_training_runs_as_on_cuda(work, switched, tmp_path):
    made, formats = work(CPU), set()

    def look(step, model):
        maps = [p for p in model.parameters() if p.dim() == 4 and p.shape[1] > 1 and p.shape[2] > 1]
        formats.update(p.is_contiguous(memory_format=torch.channels_last) for p in maps)
        assert torch.backends.cudnn.benchmark
        if made.on_step is not None:
            made.on_step(step, model)

    weights = train(made.model, made.loss, made.settings, tmp_path, "f", 1, on_step=look, log_path=tmp_path / "l.csv")
    assert formats <= {True}
    assert all(value.isfinite().all() for name, value in weights.items() if "centroids" not in name)
    assert "nan" not in (tmp_path / "l.csv").read_text()
    if made.finish is not None:
        kept, facts = made.finish(weights)
        assert 0 <= facts["val_f1"] <= 1 and kept
    assert not torch.backends.cudnn.benchmark


def test_the_weights_that_mcspatnet_kept_come_back_in_any_format():
    from cellscaper.detectors.mcspatnet import as_vector, from_vector

    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3))
    vector, wanted = as_vector(net), [p.detach().clone() for p in net.parameters()]
    net.to(memory_format=torch.channels_last)
    assert torch.equal(as_vector(net), vector)
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    from_vector(vector, net)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), wanted, strict=True))


def test_copies_to_the_device_share_no_memory_under_the_switch(monkeypatch):
    x = torch.zeros(3)
    assert to_device(x, CPU) is x
    monkeypatch.setenv(SWITCH, "1")
    to_device(x, CPU).add_(1)
    assert x.sum() == 0


# -- memory format of a saved state ---------------------------------------------------------------------------


def convolutions():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.SiLU(), nn.Conv2d(8, 8, 3), nn.SiLU(), nn.Conv2d(8, 3, 3))


def error(model, generator, step):
    x = torch.randn(4, 3, 12, 12, generator=generator)
    return {"loss": (model(x).float() - x[..., 3:-3, 3:-3]).square().mean()}


class StoppedError(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("first", ["1", "0"])
def test_a_state_of_one_memory_format_goes_on_in_the_other(first, monkeypatch, tmp_path):
    settings = Training(steps=8, lr=0.01, ema=0.9, weight_decay=0.1, save_every=1e-9)

    def stop(step, _):
        if step == 5:
            raise StoppedError

    whole = train(convolutions(), error, settings, tmp_path / "whole", "f", 1)
    monkeypatch.setenv(SWITCH, first)
    with pytest.raises(StoppedError):
        train(convolutions(), error, settings, tmp_path / "state", "f", 1, on_step=stop)
    state = torch.load(tmp_path / "state/checkpoint.pt", weights_only=True)
    moment = state["optimizer"]["state"][2]["exp_avg"]
    assert moment.is_contiguous(memory_format=torch.channels_last) == (first == "1")
    assert moment.is_contiguous() == (first == "0")
    monkeypatch.setenv(SWITCH, "0" if first == "1" else "1")
    weights = train(convolutions(), error, settings, tmp_path / "state", "f", 1)
    for name, wanted in whole.items():
        torch.testing.assert_close(weights[name], wanted, rtol=0, atol=1e-6)


# -- autocast -------------------------------------------------------------------------------------------------


def test_the_lists_name_every_operation_that_cuda_casts():
    theirs = {name.split(".")[0] for name in casts.overloads("AutocastCUDA")}
    listed = {*casts.BF16, *casts.FP32, *casts.WIDEST}
    assert len(casts.BF16) + len(casts.FP32) + len(casts.WIDEST) == len(listed)
    assert theirs - listed == NOT_HERE
    assert listed <= theirs


CALLS = {
    "conv2d": lambda x, w: F.conv2d(x, w),
    "transposed": lambda x, w: F.conv_transpose2d(x, w),
    "linear": lambda x, w: F.linear(x, w.flatten(1)),
    "einsum": lambda x, w: torch.einsum("abcd,ebff->ae", x, w),
    "matmul": lambda x, w: x @ x.mT,
    "attention": lambda x, w: F.scaled_dot_product_attention(x, x, x),
    "group norm": lambda x, w: F.group_norm(x, 2),
    "layer norm": lambda x, w: F.layer_norm(x, (4,)),
    "softmax": lambda x, w: x.softmax(1),
    "log softmax": lambda x, w: x.log_softmax(1),
    "softplus": lambda x, w: F.softplus(x),
    "sum": lambda x, w: x.sum(),
    "sum of an axis": lambda x, w: x.sum(1),
    "mean": lambda x, w: x.mean(),
    "prod": lambda x, w: x.prod(1),
    "pow": lambda x, w: x**2,
    "exp": lambda x, w: x.exp(),
    "log": lambda x, w: x.log(),
    "square": lambda x, w: x.square(),
    "reciprocal": lambda x, w: x.reciprocal(),
    "rsqrt": lambda x, w: x.rsqrt(),
    "norm": lambda x, w: x.norm(dim=1),
    "cumsum": lambda x, w: x.cumsum(1),
    "silu": lambda x, w: F.silu(x),
    "relu": lambda x, w: F.relu(x),
    "sigmoid": lambda x, w: x.sigmoid(),
    "mul": lambda x, w: x * w.narrow(0, 0, 1),
    "addcmul": lambda x, w: torch.addcmul(x, x, x),
    "addcmul with fp32": lambda x, w: torch.addcmul(x, x, torch.ones_like(x, dtype=torch.float32)),
    "cat": lambda x, w: torch.cat([x, torch.ones_like(x, dtype=torch.float32)]),
    "interpolate": lambda x, w: F.interpolate(x, scale_factor=2.0),
    "pool": lambda x, w: F.avg_pool2d(x, 2),
    "max pool": lambda x, w: F.max_pool2d(x, 2),
    "pad": lambda x, w: F.pad(x, (1, 1, 1, 1), mode="replicate"),
    "mse": lambda x, w: F.mse_loss(x, torch.ones_like(x, dtype=torch.float32)),
    "entropy": lambda x, w: F.binary_cross_entropy_with_logits(x, torch.ones_like(x)),
    "classes": lambda x, w: F.cross_entropy(x, torch.zeros(2, 4, 4, dtype=torch.long, device=x.device)),
}


def types_on(device: str) -> dict[str, torch.dtype]:
    """The type of each call's result on bf16 input and fp32 weights."""
    x = torch.rand(2, 4, 4, 4, dtype=torch.bfloat16, device=device) + 1
    w = torch.rand(4, 4, 1, 1, device=device)
    return {name: call(x, w).dtype for name, call in CALLS.items()}


class CudaAutocast:
    """Torch's own autocast for CUDA, on tensors that hold no data: it needs no GPU."""

    def __enter__(self):
        self.mode = FakeTensorMode()
        self.mode.__enter__()
        torch.set_autocast_dtype("cuda", torch.bfloat16)
        torch.set_autocast_enabled("cuda", True)

    def __exit__(self, *_):
        torch.set_autocast_enabled("cuda", False)
        self.mode.__exit__(None, None, None)


def test_results_have_the_types_of_cuda_s_autocast(switched):
    with CudaAutocast():
        wanted = types_on("cuda")
    with like_cuda(nn.Identity(), CPU), torch.autocast("cpu", torch.bfloat16):
        found = types_on("cpu")
    assert found == wanted
    assert {torch.bfloat16, torch.float32} <= set(found.values())
    with torch.autocast("cpu", torch.bfloat16):
        assert types_on("cpu") != wanted  # the CPU's own lists


def module_types(net, *inputs):
    found = {}

    def note(name, output):
        found.setdefault(name, output.dtype)  # a hook that returns something changes the output

    hooks = [
        module.register_forward_hook(lambda _m, _i, output, name=name: note(name, output))
        for name, module in net.named_modules()
    ]
    with torch.no_grad():
        net(*inputs)
    for hook in hooks:
        hook.remove()
    return found


def test_a_u_net_on_cuda_hands_on_bf16_everywhere_but_at_its_end(switched):
    net = UNet(3, 6, **SMALL)
    with like_cuda(net, CPU), torch.autocast("cpu", torch.bfloat16):
        found = module_types(net, torch.rand(2, 3, 16, 16), torch.zeros(2, dtype=torch.long))
    own = {name for name, kind in found.items() if kind == torch.float32}
    assert own == {"", "head", "head.0", "head.1", "head.2"}


def test_group_norm_in_bf16_is_that_in_fp32_rounded(switched):
    torch.manual_seed(0)
    net = UNet(3, 6, **SMALL)
    layer = next(m for m in net.modules() if isinstance(m, nn.GroupNorm))
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    x = (torch.randn(2, layer.num_channels, 8, 8) + 20).bfloat16().requires_grad_()
    exact = F.group_norm(x.float(), layer.num_groups, layer.weight, layer.bias, layer.eps)
    with like_cuda(net, CPU), torch.autocast("cpu", torch.bfloat16):
        rough = layer(x)
    assert rough.dtype == torch.bfloat16
    torch.testing.assert_close(rough.float(), exact, rtol=2**-7, atol=2**-6)  # affine and result rounded to 8 bits
    (slope,) = torch.autograd.grad(rough.float().square().sum(), x)
    (wanted,) = torch.autograd.grad(exact.square().sum(), x)
    assert (slope.float() - wanted.float()).norm() < 0.05 * wanted.float().norm()


def test_inputs_and_weights_are_channels_last_and_the_output_is_that_of_contiguous_ones(switched):
    seen = {}

    class Look(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x, scale=None):
            seen["x"], seen["weight"] = x, self.conv.weight
            return self.conv(x) * scale

    torch.manual_seed(0)
    net, x, scale = Look(), torch.randn(2, 3, 8, 8), torch.ones(2, 1, 1, 1)
    wanted = net(x, scale)
    with like_cuda(net, CPU):
        found = Network(net, CPU, "fp32")(x, scale=scale)
    assert all(seen[name].is_contiguous(memory_format=torch.channels_last) for name in seen)
    torch.testing.assert_close(found, wanted)
