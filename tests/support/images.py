"""Small images and a small random ImageGPT in the hub's folder layout, its image processor
included.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

SIDE = 8
COLOURS = 16


def noise(count: int, *, side: int = SIDE, seed: int = 0) -> np.ndarray:
    """Images (N, H, W, 3) of random pixels, of which no two are alike."""
    return np.random.default_rng(seed).integers(256, size=(count, side, side, 3), dtype=np.uint8)


def encoded(image: Any, kind: str = "PNG", **options: Any) -> bytes:
    """The file of a picture of Pillow's."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def colours(count: int = COLOURS) -> np.ndarray:
    """Distinct colours (K, 3) as an image processor keeps them: levels of 0 to 255, in [-1, 1]."""
    levels = np.random.default_rng(1).choice(256**3, count, replace=False)
    table = np.stack([levels // 65536, levels // 256 % 256, levels % 256], axis=1)
    return (table / 127.5 - 1).astype(np.float32)


def make_image_model(folder: Path, *, side: int = SIDE, count: int = COLOURS) -> Path:
    """A random ImageGPT of two layers, saved by transformers with its image processor."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.ImageGPTConfig(
        vocab_size=count + 1, n_positions=side * side, n_embd=32, n_layer=2, n_head=4
    )
    transformers.ImageGPTForCausalImageModeling(config).save_pretrained(folder)
    size = {"height": side, "width": side}
    processor = transformers.ImageGPTImageProcessorPil(clusters=colours(count), size=size)
    processor.save_pretrained(folder)
    return folder


def image_tree(model: Path, images: Path) -> dict[str, Any]:
    """A recipe that trains on 16 images of 8 x 8 pixels in seconds."""
    return {
        "name": "tiny-images",
        "model": {"source": str(model)},
        "data": {
            "train": {"path": str(images), "column": "images"},
            "train_blocks": 16,
            "validation_blocks": 4,
            "images": {"side": SIDE},
            "domains": [{"name": "pictures", "count": 10}],
        },
        "train": {"learning_rate": 3e-3, "epochs": 3, "batch_blocks": 4, "precision": "fp32"},
        "probe": {"contexts": 2, "new_tokens": 8},
        "generate": {
            "batch_contexts": 5,
            "strategies": [
                {"name": "greedy", "method": "greedy"},
                {
                    "name": "every-rule",
                    "method": "sample",
                    "blocker": {"mode": "word", "tokens": 2},
                    "repetition_penalty": 1.2,
                    "penalised": "all",
                    "temperature": 0.7,
                    "top_p": 0.9,
                },
            ],
        },
        "measure": {"bootstrap_draws": 200},
        "report": {"examples": 1},
    }
