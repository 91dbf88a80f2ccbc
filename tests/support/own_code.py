"""A model and a tokenizer that are Python code beside the weights, as people publish them."""

import json

import torch
from safetensors.torch import save_file

OWN_CONFIG = """
from transformers import PreTrainedConfig


class OwnConfig(PreTrainedConfig):
    model_type = "own"

    def __init__(self, vocab_size=320, hidden_size=16, num_hidden_layers=1, max_position_embeddings=128, **more):
        self.vocab_size, self.hidden_size, self.num_hidden_layers = vocab_size, hidden_size, num_hidden_layers
        self.max_position_embeddings = max_position_embeddings
        super().__init__(**more)
"""
OWN_MODEL = """
import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from .own_config import OwnConfig


class OwnModel(PreTrainedModel):
    config_class = OwnConfig

    def __init__(self, config):
        super().__init__(config)
        self.embed = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(nn.Linear(config.hidden_size, config.hidden_size) for _ in range(1))
        self.head = nn.Linear(config.hidden_size, config.vocab_size)
        self.register_buffer("scale", torch.full((1,), 2.0))
        self.post_init()

    def _init_weights(self, module):
        pass

    def forward(self, input_ids):
        hidden = self.embed(input_ids)
        for layer in self.layers:
            hidden = hidden + layer(hidden)
        return CausalLMOutput(logits=self.head(hidden) * self.scale)
"""


OWN_TOKENIZER = """
from transformers import PreTrainedTokenizer


class OwnTokenizer(PreTrainedTokenizer):
    \"\"\"A character a token; like some, it adds its own ends where special tokens are asked for.\"\"\"

    def __init__(self, letters="abcdefghijklmnopqrstuvwxyz ,.", **more):
        self.letters = letters
        super().__init__(letters=letters, **{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<u>", **more})

    @property
    def vocab_size(self):
        return len(self.letters)

    def get_vocab(self):
        return {**{letter: i for i, letter in enumerate(self.letters)}, **self.added_tokens_encoder}

    def _tokenize(self, text, **_):
        return list(text)

    def _convert_token_to_id(self, token):
        return self.letters.find(token) if token in self.letters else self.unk_token_id

    def _convert_id_to_token(self, index):
        return self.letters[index] if index < len(self.letters) else self.unk_token

    def convert_tokens_to_string(self, tokens):
        return "".join(tokens)

    def save_vocabulary(self, folder, filename_prefix=None):
        return ()
"""


def make_own(folder, tokenizer):
    """A folder as people publish them whose model is Python code beside the weights."""
    folder.mkdir()
    (folder / "own_config.py").write_text(OWN_CONFIG)
    (folder / "own_model.py").write_text(OWN_MODEL)
    config = {
        "model_type": "own",
        "auto_map": {
            "AutoConfig": "own_config.OwnConfig",
            "AutoModelForCausalLM": "own_model.OwnModel",
        },
        "architectures": ["OwnModel"],
        "eos_token_id": 0,
        "vocab_size": 320,
    }
    (folder / "config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    sizes = {
        "embed.weight": (320, 16),
        "layers.0.weight": (16, 16),
        "layers.0.bias": (16,),
        "head.weight": (320, 16),
    }
    weights = {
        name: torch.randn(size)
        for name, size in (sizes | {"head.bias": (320,), "scale": (1,)}).items()
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)
    return folder
