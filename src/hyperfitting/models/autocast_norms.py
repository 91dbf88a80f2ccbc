"""RMS norms and rotary embeddings that output autocast's dtype, so that their result is converted
once.

In transformers both output float32, and every later matrix product converts it again, forward and
backward: a tenth of the time of an update of a small model on a CPU. Without autocast nothing here
has an effect.

Shapes: T tokens of all texts, H hidden units.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def norm_or_own(module: Any, x_TH: Tensor) -> Any:
    """A norm's forward: under autocast `RmsNorm` in autocast's dtype, else the module's own."""
    if not torch.is_autocast_enabled(x_TH.device.type):
        return type(module).forward(module, x_TH)
    dtype = torch.get_autocast_dtype(x_TH.device.type)
    return RmsNorm.apply(x_TH, module.weight, module.variance_epsilon, dtype)  # type: ignore[no-untyped-call]


def round_angles(_: nn.Module, __: Any, angles: Any) -> Any:
    """Forward hook: cosines and sines in autocast's dtype; angles of another form, such as complex
    ones, unchanged.
    """
    if not isinstance(angles, tuple) or not torch.is_autocast_enabled(angles[0].device.type):
        return angles
    return tuple(each.to(torch.get_autocast_dtype(each.device.type)) for each in angles)


class RmsNorm(torch.autograd.Function):
    """y = w x / sqrt(mean(x^2) + epsilon), computed in float32, rounded to one dtype, with a
    gradient in few passes.
    """

    @staticmethod
    def forward(
        ctx: Any, x_TH: Tensor, weight_H: Tensor, epsilon: float, dtype: torch.dtype
    ) -> Tensor:
        """The norm of x (T, H), in `dtype`."""
        x_TH, ctx.dtype = x_TH.float(), x_TH.dtype
        square_T1 = torch.linalg.vector_norm(x_TH, dim=-1, keepdim=True).square_() / x_TH.shape[-1]
        scale_T1 = square_T1.add_(epsilon).rsqrt_()
        normal_TH = x_TH * scale_T1
        ctx.save_for_backward(normal_TH, scale_T1, weight_H)
        rounded_TH: Tensor = (normal_TH * weight_H).to(dtype)
        return rounded_TH

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        """The gradients of x and of the weight."""
        normal_TH, scale_T1, weight_H = ctx.saved_tensors
        slope_TH = slopes[0].to(torch.float32, copy=True)
        along_TH = slope_TH * normal_TH
        slope_H = (
            along_TH.flatten(0, -2).sum(0).to(weight_H.dtype) if ctx.needs_input_grad[1] else None
        )
        mean_T1 = (along_TH @ weight_H.float()).unsqueeze(-1) / normal_TH.shape[-1]
        slope_TH.mul_(weight_H).addcmul_(normal_TH, mean_T1, value=-1).mul_(scale_T1)
        return slope_TH.to(ctx.dtype), slope_H, None, None
