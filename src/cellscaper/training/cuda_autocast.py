"""CUDA's bf16 autocast on a CPU, for tests: the operations that CUDA runs in fp32, in bf16, or in the widest type.

The lists are those of torch's page "Automatic Mixed Precision package", section "CUDA Op-Specific Behavior". Torch also
registers its CUDA kernels of autocast in builds without CUDA, so the dispatcher says which overloads they are; a test
compares both. Operations in place are not cast, as on CUDA.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

BF16 = (
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "chain_matmul", "conv1d", "conv2d", "conv3d", "conv_tbc",
    "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "convolution", "_convolution", "einsum",
    "linalg_multi_dot", "linalg_vecdot", "linear", "matmul", "mm", "mv", "prelu", "scaled_dot_product_attention",
)  # fmt: skip
FP32 = (
    "acos", "asin", "binary_cross_entropy_with_logits", "cdist", "cosh", "cosine_embedding_loss",
    "cosine_similarity", "cumprod", "cumsum", "dist", "erfinv", "exp", "expm1", "frobenius_norm", "group_norm",
    "hinge_embedding_loss", "huber_loss", "kl_div", "l1_loss", "layer_norm", "linalg_matrix_norm",
    "linalg_vector_norm", "log", "log10", "log1p", "log2", "log_softmax", "logsumexp", "margin_ranking_loss",
    "mse_loss", "multi_margin_loss", "multilabel_margin_loss", "native_layer_norm", "nll_loss", "nll_loss2d",
    "norm", "nuclear_norm", "pdist", "poisson_nll_loss", "pow", "prod", "reciprocal", "renorm", "rms_norm", "rsqrt",
    "sinh", "smooth_l1_loss", "soft_margin_loss", "softmax", "softplus", "sum", "tan", "triplet_margin_loss",
    "upsample_bicubic2d", "upsample_bilinear2d", "upsample_linear1d", "upsample_nearest1d", "upsample_nearest2d",
    "upsample_nearest3d", "upsample_trilinear3d", "_upsample_bicubic2d_aa", "_upsample_bilinear2d_aa",
    "_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d",
)  # fmt: skip
WIDEST = (
    "addcdiv", "addcmul", "atan2", "bilinear", "cross", "dot", "grid_sampler", "index_put", "scatter_add",
    "tensordot", "vdot",
)  # fmt: skip
_has = torch._C._dispatch_has_kernel_for_dispatch_key
_CPU = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCPU)


def overloads(key: str) -> set[str]:
    """Names as ``group_norm`` or ``sum.dim_IntList`` of the operations with a kernel for an autocast key."""
    names = (name.removeprefix("aten::") for name in torch._C._dispatch_get_all_op_names() if name.startswith("aten::"))
    return {name for name in names if _has(f"aten::{name}", key)}


@contextmanager
def cuda_autocast() -> Iterator[None]:
    """Within the block, autocast on the CPU casts as on CUDA. What only the CPU casts is not cast."""
    theirs, own = overloads("AutocastCUDA"), overloads("AutocastCPU")
    library = torch.library.Library("aten", "IMPL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # each kernel that replaces one of the CPU's is announced
        for name in sorted(theirs):
            policy = _policy(name.split(".")[0])
            if policy is not None:
                library.impl(name, _kernel(name, policy), "AutocastCPU")
        for name in sorted(own - theirs):
            library.impl(name, torch.library.fallthrough_kernel, "AutocastCPU")
        try:
            yield
        finally:
            library._destroy()


def _policy(name: str) -> Callable[[list[Tensor]], torch.dtype] | None:
    """The type of an operation for its eligible arguments; None for an operation on no list."""
    if name in BF16:
        return lambda _: torch.bfloat16
    if name in FP32:
        return lambda _: torch.float32
    return _widest if name in WIDEST else None


def _widest(tensors: list[Tensor]) -> torch.dtype:
    return torch.float32 if any(one.dtype == torch.float32 for one in tensors) else torch.bfloat16


def _eligible(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.dtype != torch.float64


def _kernel(name: str, policy: Callable[[list[Tensor]], torch.dtype]) -> Callable[..., Any]:
    base, _, overload = name.partition(".")
    operation = getattr(getattr(torch.ops.aten, base), overload or "default")

    def run(*args: Any, **named: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(_CPU):
            found = [one for one in tree_leaves((args, named)) if _eligible(one)]
            if found and named.get("dtype") is None:
                wanted = policy(found)
                args, named = tree_map(lambda one: one.to(wanted) if _eligible(one) else one, (args, named))
            return operation(*args, **named)

    return run
