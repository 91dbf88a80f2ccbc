"""How near tensors are to exact ones."""

from __future__ import annotations

import torch


def near(ours: torch.Tensor, exact: torch.Tensor, bound: float) -> bool:
    """Within `bound` of the largest of the exact values."""
    return float((ours.double() - exact).abs().max()) <= bound * float(exact.abs().max())
