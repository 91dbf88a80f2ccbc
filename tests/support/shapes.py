"""Four shapes that nothing in the plan of memory was fitted to, and one of capped logits."""

from transformers import Gemma2Config, GPT2Config, LlamaConfig, Qwen2Config


def shapes():
    wide = LlamaConfig(
        vocab_size=9000,
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=3,
        num_attention_heads=8,
        num_key_value_heads=2,
    )
    narrow = {"vocab_size": 1000, "n_embd": 192, "n_head": 6, "n_positions": 128}
    short, tall = (GPT2Config(**narrow, n_layer=layers) for layers in (4, 9))
    tied = Qwen2Config(
        vocab_size=20000,
        hidden_size=64,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        tie_word_embeddings=True,
    )
    capped = Gemma2Config(
        vocab_size=20000,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
    )
    return {"llama": wide, "gpt2": short, "gpt2-tall": tall, "qwen2": tied, "gemma2": capped}


def shape_tree(tree, folder, name, **engine):
    """A recipe's tree for two updates of 6 x 96 tokens in one of the shapes, random weights."""
    shapes()[name].save_pretrained(folder / name)
    tree["model"] = {"source": str(folder / name), "initialise": "random"}
    tree["data"]["block_tokens"], tree["train"]["batch_blocks"] = 96, 6
    tree["train"] |= {"epochs": None, "updates": 2}
    tree["engine"] = engine
    return tree
