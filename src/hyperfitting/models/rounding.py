"""Under autocast, what feeds a matrix product is rounded to its dtype once: by norms, and by the angles of rotations.

As transformers writes them, both hand on float32, and every product after them converts it anew, forward and backward:
a tenth of an update of a small model on a CPU. Without autocast nothing here has an effect.

Shapes: T tokens of all texts, H hidden units.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn


def round_once(model: nn.Module) -> None:
    """Have the model's RMS norms and rotary embeddings hand on the dtype of autocast, where that is on.

    Sums and roots of the norms stay in float32, and the stream between the layers as well.
    """
    for module in model.modules():
        if type(module).__name__.endswith("RotaryEmbedding"):
            module.register_forward_hook(_round_angles)
        elif _is_rms_norm(module):
            module.forward = MethodType(_norm_or_own, module)


def _is_rms_norm(module: nn.Module) -> bool:
    """Whether a module divides by the root mean square and multiplies by its weight, as most do and some vary."""
    if not (type(module).__name__.endswith("RMSNorm") and hasattr(module, "variance_epsilon")):
        return False
    weight_H: Any = module.weight
    x_TH = torch.linspace(-2, 3, 2 * weight_H.numel(), device=weight_H.device, dtype=weight_H.dtype).view(2, -1)
    with torch.no_grad():
        ours_TH = _RmsNorm.apply(x_TH, weight_H, module.variance_epsilon, x_TH.dtype)  # type: ignore[no-untyped-call]
        return weight_H.is_meta or torch.allclose(ours_TH, module(x_TH), rtol=1e-2)


def _norm_or_own(module: Any, x_TH: Tensor) -> Any:
    if not torch.is_autocast_enabled(x_TH.device.type):
        return type(module).forward(module, x_TH)
    dtype = torch.get_autocast_dtype(x_TH.device.type)
    return _RmsNorm.apply(x_TH, module.weight, module.variance_epsilon, dtype)  # type: ignore[no-untyped-call]


def _round_angles(_: nn.Module, __: Any, angles: Any) -> Any:
    """Cosines and sines in the dtype of autocast; angles of another form, such as complex ones, as they are."""
    if not isinstance(angles, tuple) or not torch.is_autocast_enabled(angles[0].device.type):
        return angles
    return tuple(each.to(torch.get_autocast_dtype(each.device.type)) for each in angles)


class _RmsNorm(torch.autograd.Function):
    """y = w x / sqrt(mean(x^2) + epsilon), computed in float32, in one dtype; its gradient in few passes."""

    @staticmethod
    def forward(ctx: Any, x_TH: Tensor, weight_H: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor:
        x_TH, ctx.dtype = x_TH.float(), x_TH.dtype
        square_T1 = torch.linalg.vector_norm(x_TH, dim=-1, keepdim=True).square_() / x_TH.shape[-1]
        scale_T1 = square_T1.add_(epsilon).rsqrt_()
        normal_TH = x_TH * scale_T1
        ctx.save_for_backward(normal_TH, scale_T1, weight_H)
        rounded_TH: Tensor = (normal_TH * weight_H).to(dtype)
        return rounded_TH

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        normal_TH, scale_T1, weight_H = ctx.saved_tensors
        slope_TH = slopes[0].to(torch.float32, copy=True)
        along_TH = slope_TH * normal_TH
        slope_H = along_TH.flatten(0, -2).sum(0).to(weight_H.dtype) if ctx.needs_input_grad[1] else None
        mean_T1 = (along_TH @ weight_H.float()).unsqueeze(-1) / normal_TH.shape[-1]
        slope_TH.mul_(weight_H).addcmul_(normal_TH, mean_T1, value=-1).mul_(scale_T1)
        return slope_TH.to(ctx.dtype), slope_H, None, None
