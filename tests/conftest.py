"""Tiny models, tokenizers and corpora made on the fly: no network, no shared data, seconds in
all.
"""

from __future__ import annotations

import gc
import json
import os
import random
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from tests.support.longest_first import LONGEST_FIRST

# Where an image forbids to keep compiled modules, every process compiles all of them anew: with
# them kept, a process collects the tests in 12 CPU-seconds instead of 21.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # the models are tiny, and other work may share the machine
os.fsync = lambda handle: None  # no test takes the power away, and each call waits for the disk
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
_LEFT = tempfile.TemporaryDirectory(prefix="left-by-libraries-")
for _name in ("HF_MODULES_CACHE", "TRACKIO_DIR"):  # code of models made here; what is tracked
    os.environ.setdefault(_name, tempfile.mkdtemp(dir=_LEFT.name))

_MEMORY_DISK = Path("/dev/shm")
_NEEDED_BYTES = 2 * 2**30  # five times what the default tests leave behind


def pytest_configure(config: pytest.Config) -> None:
    """The default tests write their folders to memory where there is room: they make and delete
    some hundred thousand files, and a disk can take a millisecond for each.
    """
    gc.disable()  # until everything is imported: a quarter of the time that collecting takes
    slow = "not slow" not in config.getoption("markexpr")
    if slow or not _MEMORY_DISK.is_dir() or not os.access(_MEMORY_DISK, os.W_OK):
        return
    room = os.statvfs(_MEMORY_DISK)
    runs_programs = not room.f_flag & os.ST_NOEXEC
    if runs_programs and room.f_bavail * room.f_frsize >= _NEEDED_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY_DISK))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take longest come first: a core that begins one of them last would leave the
    others idle.
    """
    place = {file: number for number, file in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(place)))


def pytest_collection_finish() -> None:
    """What has been imported by now stays: the collector need not look through it again and again,
    which took a tenth of the time of tests that make experiments.
    """
    gc.collect()
    gc.freeze()
    gc.enable()


_TEXT = (
    "the of and to in a river house morning she he they walked looked found old new green small "
    "great window road letter ship garden winter quietly never again because while under over "
    "captain teacher bread stone light rain"
)
WORDS = _TEXT.split()


def sentence(random_: random.Random, words: int) -> str:
    return " ".join(random_.choice(WORDS) for _ in range(words))


def write_corpus(
    path: Path, *, documents: int, words: int, groups: int | None = None, seed: int = 0
) -> Path:
    """A .jsonl file of random documents, each its own, with `group` dealt in turn where asked
    for.
    """
    random_ = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for number in range(documents):
            row: dict[str, Any] = {"title": f"Piece {number}", "text": sentence(random_, words)}
            if groups:
                row["book"] = f"book {number % groups}"
            file.write(json.dumps(row) + "\n")
    return path


def make_tokenizer() -> Any:
    """A byte-level BPE tokenizer trained on the test words, with one token for the beginning and
    the end of a text.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    random_ = random.Random(1)
    raw.train_from_iterator((sentence(random_, 50) for _ in range(50)), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<|end|>", eos_token="<|end|>", pad_token="<|end|>"
    )


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Any:
    return make_tokenizer()


def tiny_config(kind: str, vocabulary: int) -> Any:
    """A config of one of the shapes that users bring, two layers deep."""
    import transformers as t

    common = {"vocab_size": vocabulary, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    rotary = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 128,
    }
    gpt = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}
    return {
        "llama": lambda: t.LlamaConfig(
            **common, **rotary, num_key_value_heads=2, tie_word_embeddings=True
        ),
        "qwen2": lambda: t.Qwen2Config(**common, **rotary, num_key_value_heads=2),
        "mistral": lambda: t.MistralConfig(
            **common, **rotary, num_key_value_heads=2, sliding_window=None
        ),
        "gpt2": lambda: t.GPT2Config(**common, **gpt),
        "gpt_neox": lambda: t.GPTNeoXConfig(**common, **rotary),
    }[kind]()


def make_model(
    folder: Path, tokenizer: Any, kind: str = "llama", *, dtype: str = "float32", **changes: Any
) -> Path:
    """A random model of one shape with the tiny tokenizer, saved as an ordinary folder; `changes`
    to its config.
    """
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    config = tiny_config(kind, len(tokenizer))
    config.update(changes)
    model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Any) -> Path:
    """A random Llama of 30,000 parameters in an ordinary Hugging Face folder."""
    return make_model(tmp_path_factory.mktemp("models") / "tiny-llama", tiny_tokenizer)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty documents of 60 words."""
    return write_corpus(tmp_path_factory.mktemp("corpus") / "pieces.jsonl", documents=60, words=60)


def tiny_tree(model: Path, corpus: Path) -> dict[str, Any]:
    """A recipe that trains in a second: 16 blocks of 32 tokens."""
    return {
        "name": "tiny",
        "model": {"source": str(model)},
        "data": {
            "train": {"path": str(corpus)},
            "train_blocks": 16,
            "validation_blocks": 4,
            "block_tokens": 32,
            "context_tokens": 8,
            "domains": [{"name": "pieces", "count": 12}],
        },
        "train": {"learning_rate": 3e-3, "epochs": 3, "batch_blocks": 4, "precision": "fp32"},
        "probe": {"contexts": 2, "new_tokens": 8},
        "generate": {
            "new_tokens": 24,
            "batch_contexts": 5,
            "strategies": [
                {"name": "greedy", "method": "greedy"},
                {
                    "name": "nucleus",
                    "method": "sample",
                    "temperature": 0.7,
                    "top_k": 50,
                    "top_p": 0.9,
                },
            ],
        },
        "measure": {"bootstrap_draws": 200},
        "report": {"examples": 1},
    }


@pytest.fixture
def tree(tiny_model: Path, corpus: Path) -> dict[str, Any]:
    return tiny_tree(tiny_model, corpus)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, corpus: Path) -> Any:
    """One tiny experiment taken from data to report, shared by every test that only looks."""
    from hyperfitting import pipeline
    from hyperfitting.recipe import parse_recipe
    from tests.support.pictures import pictures

    recipe = parse_recipe(tiny_tree(tiny_model, corpus), source="test")
    with pictures(drawn=True):
        return pipeline.run(recipe, tmp_path_factory.mktemp("experiment") / "tiny", device="cpu")


class Trained(NamedTuple):
    """What `train_once` made."""

    model: Any
    rows: list[Any]
    probes: list[Any]
    outcome: Any
    selection: Any


def train_once(
    tree: dict[str, Any], ids: Any, folder: Path, *, probe: Any = None, say: Any = None
) -> Trained:
    """The loop alone, on one process, without files but its checkpoints in `folder`."""
    import torch

    from hyperfitting import models, training
    from hyperfitting.progress import NoProgress
    from hyperfitting.recipe import parse_recipe
    from hyperfitting.records import ProbeRow
    from hyperfitting.training.checkpoint import Checkpoints

    recipe, ranks = parse_recipe(tree, source="t"), training.join_processes(torch.device("cpu"))
    precision = models.resolve_precision(recipe.train.precision, ranks.device)
    setup = training.prepare(recipe, ranks, precision)
    rows, probes = [], []

    def watch(state: Any, epoch: float, variants: Any) -> ProbeRow:
        validation_loss, ttr = probe(state.update) if probe else (1.0, 0.5)
        row = ProbeRow(
            state.update,
            epoch,
            state.epoch_loss,
            validation_loss,
            1.0,
            0.1,
            0.2,
            0.3,
            ttr,
            0.7,
            "",
            "",
        )
        probes.append(row)
        return row

    checkpoints = Checkpoints(folder, recipe, ranks, say=say or (lambda line: None))
    outcomes = training.train(
        setup,
        ids,
        {"hyperfitted": recipe.train},
        checkpoints=checkpoints,
        watcher=SimpleNamespace(log=lambda row, variants: rows.append(row), probe=watch),
        progress=NoProgress(),
    )
    outcome, model = outcomes.ended["hyperfitted"], setup.selection.model
    if not outcome.in_model:
        checkpoints.load_weights(model, outcome.kept)
    return Trained(model, rows, probes, outcome, setup.selection)
