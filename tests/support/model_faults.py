"""Folders of models with one thing changed: what ought to be let in, and what ought to be refused.

Each change takes a folder and a random number generator, and edits the folder in place. `HARMLESS`
leaves a model that can be trained and reported on; after one of `FAULTS` there is none, or not the
one that the folder seems to hold.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from tests.support.folders import rewrite_weights

Change = Callable[[Path, random.Random], None]
HARMLESS: dict[str, Change] = {}
FAULTS: dict[str, Change] = {}


def harmless(change: Change) -> Change:
    HARMLESS[change.__name__] = change
    return change


def fault(change: Change) -> Change:
    FAULTS[change.__name__] = change
    return change


def edit(path: Path, **values: Any) -> None:
    held = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps(held | values), encoding="utf-8")


def weight_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def shard(folder: Path) -> None:
    """The weights in several files with an index, as large models are saved."""
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="30KB")


# --- what changes nothing of the model
# --------------------------------------------------------------------------------


@harmless
def nothing(folder: Path, chance: random.Random) -> None:
    del folder, chance


@harmless
def sharded(folder: Path, chance: random.Random) -> None:
    shard(folder)


@harmless
def saved_in_bfloat16(folder: Path, chance: random.Random) -> None:
    rewrite_weights(
        folder / "model.safetensors",
        lambda held: held.update({k: v.bfloat16() for k, v in held.items()}),
    )
    edit(folder / "config.json", dtype="bfloat16")


@harmless
def saved_in_float64(folder: Path, chance: random.Random) -> None:
    rewrite_weights(
        folder / "model.safetensors",
        lambda held: held.update({k: v.double() for k, v in held.items()}),
    )


@harmless
def files_of_a_training_beside_it(folder: Path, chance: random.Random) -> None:
    for name in (
        "README.md",
        "training_args.bin",
        "optimizer.pt",
        "trainer_state.json",
        ".gitattributes",
    ):
        (folder / name).write_bytes(chance.randbytes(chance.randrange(40)))
    (folder / "checkpoint-500").mkdir()


@harmless
def sampling_in_its_generation_config(folder: Path, chance: random.Random) -> None:
    values = {
        "do_sample": True,
        "temperature": chance.uniform(0.1, 2),
        "top_k": 7,
        "repetition_penalty": 1.3,
    }
    edit(folder / "generation_config.json", **values)


@harmless
def no_generation_config(folder: Path, chance: random.Random) -> None:
    (folder / "generation_config.json").unlink()


@harmless
def ends_in_its_generation_config(folder: Path, chance: random.Random) -> None:
    edit(folder / "generation_config.json", eos_token_id=[0, chance.randrange(1, 300)])


@harmless
def keys_that_nobody_knows_in_its_config(folder: Path, chance: random.Random) -> None:
    edit(
        folder / "config.json",
        made_by="someone",
        use_cache=chance.random() < 0.5,
        transformers_version="4.1.0",
    )


@harmless
def truncation_in_its_tokenizer(folder: Path, chance: random.Random) -> None:
    truncation = {
        "direction": "Right",
        "max_length": chance.randrange(4, 64),
        "strategy": "LongestFirst",
        "stride": 0,
    }
    edit(folder / "tokenizer.json", truncation=truncation)


@harmless
def padding_in_its_tokenizer(folder: Path, chance: random.Random) -> None:
    padding = {
        "strategy": {"Fixed": 64},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
    }
    edit(folder / "tokenizer.json", padding=padding | {"pad_type_id": 0, "pad_token": "<|end|>"})


@harmless
def a_buffer_of_older_versions(folder: Path, chance: random.Random) -> None:
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    rewrite_weights(folder / "model.safetensors", lambda held: held.update({name: torch.ones(4)}))


@harmless
def files_that_are_links(folder: Path, chance: random.Random) -> None:
    store = folder.with_name(folder.name + "-store")
    store.mkdir()
    for path in [each for each in folder.iterdir() if each.is_file()]:
        shutil.move(path, store / path.name)
        path.symlink_to(store / path.name)


@harmless
def a_chat_template(folder: Path, chance: random.Random) -> None:
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m.content }}{% endfor %}"
    )


@harmless
def more_rows_than_tokens(folder: Path, chance: random.Random) -> None:
    rows = 8 * chance.randrange(1, 4)

    def pad(held: dict[str, torch.Tensor]) -> None:
        for name in [
            each for each in held if each.endswith(("embed_tokens.weight", "lm_head.weight"))
        ]:
            held[name] = torch.cat([held[name], torch.randn(rows, held[name].shape[1]) * 0.02])

    rewrite_weights(folder / "model.safetensors", pad)
    edit(folder / "config.json", vocab_size=320 + rows)


@harmless
def two_shards_are_swapped(folder: Path, chance: random.Random) -> None:
    """All shards are read, and their tensors have names: which file holds which is of no
    account.
    """
    shard(folder)
    one, other = chance.sample(weight_files(folder), 2)
    one.rename(folder / "third")
    other.rename(one)
    (folder / "third").rename(other)


# --- what leaves no model, or another one
# -----------------------------------------------------------------------------


@fault
def a_file_is_missing(folder: Path, chance: random.Random) -> None:
    (folder / chance.choice(["config.json", "model.safetensors", "tokenizer.json"])).unlink()


@fault
def a_shard_is_missing(folder: Path, chance: random.Random) -> None:
    shard(folder)
    chance.choice(weight_files(folder)).unlink()


@fault
def the_index_is_missing(folder: Path, chance: random.Random) -> None:
    shard(folder)
    (folder / "model.safetensors.index.json").unlink()


@fault
def a_file_is_cut_off(folder: Path, chance: random.Random) -> None:
    path = folder / chance.choice(
        ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    )
    whole = path.read_bytes()
    path.write_bytes(whole[: chance.randrange(len(whole.rstrip()) - 1)])


@fault
def a_file_is_empty(folder: Path, chance: random.Random) -> None:
    names = ["config.json", "model.safetensors", "tokenizer.json", "generation_config.json"]
    (folder / chance.choice(names)).write_bytes(b"")


@fault
def a_file_holds_something_else(folder: Path, chance: random.Random) -> None:
    names = [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
    ]
    (folder / chance.choice(names)).write_bytes(
        chance.choice([b"[]", b"null", b"\xff\xfe\x00", b"not found"])
    )


@fault
def a_weight_is_renamed(folder: Path, chance: random.Random) -> None:
    def rename(held: dict[str, torch.Tensor]) -> None:
        name = chance.choice(sorted(held))
        held[name.replace(".weight", ".weights")] = held.pop(name)

    rewrite_weights(folder / "model.safetensors", rename)


@fault
def a_weight_is_missing(folder: Path, chance: random.Random) -> None:
    rewrite_weights(
        folder / "model.safetensors", lambda held: held.pop(chance.choice(sorted(held)))
    )


@fault
def a_weight_is_too_many(folder: Path, chance: random.Random) -> None:
    name = chance.choice(
        [
            "model.layers.0.self_attn.q_proj.bias",
            "model.layers.2.mlp.up_proj.weight",
            "extra.weight",
        ]
    )
    rewrite_weights(folder / "model.safetensors", lambda held: held.update({name: torch.zeros(32)}))


@fault
def a_weight_has_another_shape(folder: Path, chance: random.Random) -> None:
    def cut(held: dict[str, torch.Tensor]) -> None:
        name = chance.choice(sorted(held))
        held[name] = held[name][:-1].clone()

    rewrite_weights(folder / "model.safetensors", cut)


@fault
def a_value_is_no_number(folder: Path, chance: random.Random) -> None:
    def spoil(held: dict[str, torch.Tensor]) -> None:
        values = held[chance.choice(sorted(held))].view(-1)
        values[chance.randrange(len(values))] = chance.choice(
            [float("nan"), float("inf"), -float("inf")]
        )

    rewrite_weights(folder / "model.safetensors", spoil)


@fault
def another_size_in_its_config(folder: Path, chance: random.Random) -> None:
    held = json.loads((folder / "config.json").read_text())
    name = chance.choice(
        [
            "num_hidden_layers",
            "hidden_size",
            "intermediate_size",
            "vocab_size",
            "num_key_value_heads",
        ]
    )
    larger = held[name] == 1 or chance.random() < 0.5
    edit(folder / "config.json", **{name: held[name] * 2 if larger else held[name] // 2})


@fault
def another_switch_in_its_config(folder: Path, chance: random.Random) -> None:
    held = json.loads((folder / "config.json").read_text())
    name = chance.choice(["attention_bias", "mlp_bias", "tie_word_embeddings"])
    edit(folder / "config.json", **{name: not held[name]})


@fault
def another_kind_in_its_config(folder: Path, chance: random.Random) -> None:
    edit(
        folder / "config.json",
        model_type=chance.choice(["t5", "bert", "gpt2", "nothing-known", "mamba", "vit"]),
    )


@fault
def a_value_of_another_type_in_its_config(folder: Path, chance: random.Random) -> None:
    name = chance.choice(["num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size"])
    edit(folder / "config.json", **{name: chance.choice(["many", None, -3, 2.5, []])})


@fault
def quantised(folder: Path, chance: random.Random) -> None:
    method = chance.choice(["gptq", "awq", "bitsandbytes", "fp8", "unknown"])
    edit(folder / "config.json", quantization_config={"quant_method": method, "bits": 4})


@fault
def an_adapter_beside_it(folder: Path, chance: random.Random) -> None:
    held = {
        "peft_type": "LORA",
        "base_model_name_or_path": str(folder),
        "r": 2,
        "target_modules": ["q_proj"],
    }
    (folder / "adapter_config.json").write_text(json.dumps(held))


@fault
def pickled(folder: Path, chance: random.Random) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


@fault
def a_token_beyond_the_embeddings(folder: Path, chance: random.Random) -> None:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    if chance.random() < 0.5:
        tokenizer.add_tokens(["Mr."])
    else:
        tokenizer.add_special_tokens({"eos_token": "<|im_end|>"})
    tokenizer.save_pretrained(folder)


@fault
def an_end_beyond_the_embeddings(folder: Path, chance: random.Random) -> None:
    edit(folder / "generation_config.json", eos_token_id=[0, 320 + chance.randrange(1000)])


@fault
def no_token_that_ends_a_text(folder: Path, chance: random.Random) -> None:
    for name, keys in (
        ("config.json", ("eos_token_id",)),
        ("tokenizer_config.json", ("eos_token",)),
    ):
        held = json.loads((folder / name).read_text())
        (folder / name).write_text(
            json.dumps({key: value for key, value in held.items() if key not in keys})
        )
    edit(folder / "generation_config.json", eos_token_id=None)
