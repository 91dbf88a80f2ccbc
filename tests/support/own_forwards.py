"""Models that come with their own code: a folder with config.json, safetensors, a tokenizer and one
Python file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_CONFIG = """
import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel


class OwnConfig(PreTrainedConfig):
    model_type = "own"

    def __init__(self, words=320, width=16, **kwargs):
        self.words, self.width = words, width
        super().__init__(**kwargs)


class OwnModel(PreTrainedModel):
    config_class = OwnConfig

    def __init__(self, config):
        super().__init__(config)
        self.table = nn.Embedding(config.words, config.width)
        self.mix = nn.Linear(config.width, config.width)
        self.out = nn.Linear(config.width, config.words)
        self.post_init()

    def _read(self, ids):  # each token sees the mean of those up to it
        x = self.table(ids)
        mean = x.cumsum(1) / torch.arange(1, ids.shape[1] + 1).view(1, -1, 1)
        return self.out(torch.tanh(self.mix(x + 3 * mean)))

"""

FORWARDS = {
    # nothing but ids in, logits out
    "tensor": "def forward(self, input_ids):\n        return self._read(input_ids)",
    "tuple": "def forward(self, input_ids):\n        return (self._read(input_ids),)",
    # takes a cache, hands one back, and does not look at it
    "forgetful": (
        "def forward(self, input_ids, past_key_values=None, use_cache=False, **kwargs):\n"
        "        from types import SimpleNamespace\n"
        "        return SimpleNamespace(logits=self._read(input_ids), past_key_values=[1])"
    ),
    # reads both ways
    "masked": "def forward(self, input_ids):\n        return self._read(input_ids.flip(1)).flip(1)",
    # answers differently each time
    "dice": (
        "def forward(self, input_ids):\n        logits = self._read(input_ids)\n"
        "        return logits + torch.rand_like(logits)"
    ),
    # asks for more than tokens
    "demanding": "def forward(self, input_ids, pixel_values):\n        return "
    "self._read(input_ids)",
    # says nothing of every token
    "last": "def forward(self, input_ids):\n        return self._read(input_ids)[:, -1]",
}


def make_own_model(folder: Path, tokenizer: Any, forward: str) -> Path:
    """A model whose forward is one of `FORWARDS`, as its author would upload it."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    (folder / "own.py").write_text(_CONFIG + "    " + FORWARDS[forward] + "\n")
    scope: dict[str, Any] = {}
    exec(compile((folder / "own.py").read_text(), str(folder / "own.py"), "exec"), scope)
    import torch

    torch.manual_seed(0)
    model = scope["OwnModel"](scope["OwnConfig"](words=len(tokenizer)))
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_()
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    config = {
        "model_type": "own",
        "words": len(tokenizer),
        "width": 16,
        "architectures": ["OwnModel"],
        "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer.save_pretrained(folder)
    return folder
