"""Texts, files and recipes for the fuzz: half of them valid by construction, the others with one
thing that is wrong.

`valid` draws an experiment that must end in a report. `BREAKAGES` take such an experiment and spoil
it, so that `check` and `run` must refuse it in the same line and leave no folder.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.support.words import WORDS

BLOCK, CONTEXT, NEW = 16, 6, 6
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
}


@dataclass
class Case:
    """One experiment: its recipe as plain values, and its text file as bytes."""

    tree: dict[str, Any]
    name: str
    content: bytes
    beside: dict[str, bytes] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """Write texts and recipe into a folder; the recipe's path."""
        (folder / "texts").mkdir(parents=True)
        for name, content in {self.name: self.content, **self.beside}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (folder / "r.json").write_text(json.dumps(self.tree))
        return folder / "r.json"


# --- texts and files
# ------------------------------------------------------------------------------------------

extra_words = st.sampled_from(
    [
        "naïve",
        "“quoted”",
        "Été",
        "日本",
        "हिन्दी",
        "e\u0301",
        "a\u200db",
        "🙂",
        "x\u2028y",
        "<s>",
        "\u000c",
    ]
)


@st.composite
def documents(draw: st.DrawFn) -> list[str]:
    """Texts that are all different, each long enough for a block, with a few words of other scripts
    in them.
    """
    chance = random.Random(
        draw(st.integers(0, 2**32))
    )  # its choices are varied, whatever hypothesis prefers
    count = draw(st.integers(14, 20))
    texts = []
    for _ in range(count):
        words = [chance.choice(WORDS) for _ in range(40)]
        for place in sorted(chance.sample(range(10, 40), draw(st.integers(0, 2)))):
            words[place] = draw(extra_words)
        texts.append(" ".join(words))
    return texts


def as_jsonl(texts: list[str], chance: Any) -> str:
    rows = [
        json.dumps(
            {"text": text, "title": f"t{i}", "book": i % 12}, ensure_ascii=chance.random() < 0.5
        )
        for i, text in enumerate(texts)
    ]
    return "\n".join(rows) + "\n" * chance.randrange(3)


def as_json(texts: list[str], chance: Any) -> str:
    return json.dumps(
        [{"text": text, "book": str(i)} for i, text in enumerate(texts)],
        ensure_ascii=chance.random() < 0.5,
    )


def as_csv(texts: list[str], chance: Any, delimiter: str = ",") -> str:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=chance.choice(["\n", "\r\n"]))
    writer.writerow(["title", "text"])
    writer.writerows((f"t{i}", text) for i, text in enumerate(texts))
    return buffer.getvalue()


def as_paragraphs(texts: list[str], chance: Any) -> str:
    end = chance.choice(["\n", "\r\n", "\r"])
    return (2 * end).join(texts) + end * chance.randrange(3)


FORMATS: dict[str, Callable[[list[str], Any], str]] = {
    ".jsonl": as_jsonl,
    ".json": as_json,
    ".csv": as_csv,
    ".tsv": lambda texts, chance: as_csv(texts, chance, "\t"),
    ".txt": as_paragraphs,
    ".md": as_paragraphs,
}
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16"]


@st.composite
def text_files(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file's name and bytes: any format, compression, encoding with a mark, and case of its
    ending.
    """
    chance = draw(st.randoms(use_true_random=False))
    ending, packer = draw(st.sampled_from(sorted(FORMATS))), draw(st.sampled_from(sorted(PACKERS)))
    content = FORMATS[ending](draw(documents()), chance).encode(draw(st.sampled_from(ENCODINGS)))
    name = f"texts/all{ending}{packer}"
    return (name.upper().replace("TEXTS/", "texts/") if draw(st.booleans()) else name), PACKERS[
        packer
    ](content)


# --- recipes
# ------------------------------------------------------------------------------------------

strategies = st.fixed_dictionaries(
    {"method": st.sampled_from(["greedy", "sample"])},
    optional={
        "repetition_penalty": st.sampled_from([0.5, 1.0, 1.3, 1e30]),
        "penalised": st.sampled_from(["generated", "all"]),
        "no_repeat_ngram": st.integers(1, 4),
        "dry": st.just({}),
        "temperature": st.sampled_from([1e-40, 0.3, 1.0, 50.0]),
        "top_k": st.integers(1, 500),
        "top_p": st.sampled_from([1e-9, 0.5, 1.0]),
        "min_p": st.sampled_from([0.0, 0.1, 1.0]),
        "blocker": st.fixed_dictionaries(
            {"mode": st.sampled_from(["token", "word"]), "tokens": st.integers(1, 6)}
        ),
    },
)
training = st.fixed_dictionaries(
    {
        "learning_rate": st.sampled_from([1e-6, 1e-3]),
        "updates": st.just(1),
        "precision": st.sampled_from(["fp32", "auto"]),
    },
    optional={
        "batch_blocks": st.integers(1, 6),
        "parameters": st.sampled_from(["all", "last:1", "late-lora:1", "lora"]),
        "stop": st.sampled_from(["end", "best-validation"]),
        "dropout": st.booleans(),
        "warmup_updates": st.integers(0, 3),
        "decay_share": st.sampled_from([0.0, 0.5, 1.0]),
        "clip_norm": st.sampled_from([1e-3, 1.0]),
        "weight_decay": st.sampled_from([0.0, 0.1]),
    },
)


@st.composite
def valid(draw: st.DrawFn, model: Path, *, light: bool = False) -> Case:
    """An experiment that ends in a report whatever was drawn; `light` ones compute in float32, with
    a cache.
    """
    name, content = draw(text_files())
    chosen = [
        strategy | {"name": f"strategy-{i}"}
        for i, strategy in enumerate(draw(st.lists(strategies, min_size=1, max_size=2)))
    ]
    tree = {
        "name": draw(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True)),
        "seed": draw(st.integers(0, 10**9)),
        "model": {
            "source": str(model),
            "beginning_of_text": draw(st.sampled_from(["add", "none"])),
        },
        "data": {
            "train": {"path": name},
            "train_blocks": draw(st.integers(1, 5)),
            "validation_blocks": draw(st.integers(1, 2)),
            "block_tokens": BLOCK,
            "context_tokens": CONTEXT,
            "lost_characters": 1.0,
            "domains": [{"name": "own", "count": draw(st.integers(1, 3))}],
        },
        "train": draw(training) | ({"precision": "fp32"} if light else {}),
        "probe": {"contexts": 1, "new_tokens": draw(st.integers(1, BLOCK - CONTEXT))},
        "generate": {
            "new_tokens": NEW,
            "end_of_text": draw(st.sampled_from(["suppress", "stop"])),
            "mode": "fast"
            if light
            else draw(st.sampled_from(["fast", "fast", "fast", "reference"])),
            "strategies": chosen,
        },
        "measure": {"bootstrap_draws": 10},
        "report": {"examples": 0, "passages": 1},
    }
    return Case(tree, name, content)


# --- what is wrong
# ------------------------------------------------------------------------------------------

Breakage = Callable[[Case, Any], None]
BREAKAGES: dict[str, Breakage] = {}


def breakage(change: Breakage) -> Breakage:
    BREAKAGES[change.__name__] = change
    return change


@breakage
def an_unknown_key(case: Case, chance: Any) -> None:
    section = chance.choice(
        [
            case.tree,
            case.tree["data"],
            case.tree["train"],
            case.tree["model"],
            case.tree["generate"],
        ]
    )
    section[chance.choice(["epoch", "modle", "x", "learning-rate", ""])] = 1


@breakage
def a_value_of_another_type(case: Case, chance: Any) -> None:
    section = chance.choice(
        [case.tree["data"], case.tree["train"], case.tree["generate"], case.tree["probe"]]
    )
    key = chance.choice(sorted(section))
    section[key] = chance.choice([[[]], {"a": {}}, "no such thing", -7, 1.5e300])


@breakage
def a_setting_is_missing(case: Case, chance: Any) -> None:
    section, key = chance.choice(
        [
            ("data", "train"),
            ("data", "train_blocks"),
            ("data", "validation_blocks"),
            ("train", "learning_rate"),
            ("model", "source"),
        ]
    )
    del case.tree[section][key]


@breakage
def settings_at_odds(case: Case, chance: Any) -> None:
    section, values = chance.choice(
        [
            ("train", {"epochs": 1}),
            ("train", {"stop": "auto"}),
            ("train", {"precision": "bf16"}),
            ("train", {"parameters": "last:99"}),
            ("data", {"context_tokens": BLOCK}),
            ("data", {"block_tokens": 100_000}),
            ("generate", {"new_tokens": 100_000}),
            ("generate", {"strategies": []}),
        ]
    )
    case.tree[section] |= values


@breakage
def no_such_file(case: Case, chance: Any) -> None:
    case.tree["data"]["train"]["path"] = chance.choice(
        ["texts/gone.jsonl", "texts/gone/", "./nothing", "~/no-such-file.txt"]
    )


@breakage
def no_such_model(case: Case, chance: Any) -> None:
    case.tree["model"]["source"] = chance.choice(["./gone", "texts", "asset:nothing", case.name])


@breakage
def too_few_documents(case: Case, chance: Any) -> None:
    case.tree["data"][chance.choice(["train_blocks", "validation_blocks"])] = 500


@breakage
def no_such_field(case: Case, chance: Any) -> None:
    case.name, case.content = "texts/all.jsonl", b'{"body": "one two three"}\n' * 20
    case.tree["data"]["train"] = {"path": case.name}


@breakage
def a_text_that_is_none(case: Case, chance: Any) -> None:
    rows = [{"text": chance.choice([7, ["a"], {"b": 1}, True])} for _ in range(20)]
    case.name, case.content = "texts/all.jsonl", "\n".join(map(json.dumps, rows)).encode()
    case.tree["data"]["train"] = {"path": case.name}


@breakage
def bytes_that_are_no_text(case: Case, chance: Any) -> None:
    case.name = "texts/all" + chance.choice([".txt", ".jsonl", ".csv", ".json", ".md", ".tsv"])
    case.content = b"\x00\xff\xfe\x80" + chance.randbytes(chance.randrange(200))
    case.tree["data"]["train"] = {"path": case.name}


@breakage
def a_compressed_file_cut_off(case: Case, chance: Any) -> None:
    packed = chance.choice([(".gz", gzip.compress), (".xz", lzma.compress)])
    whole = packed[1](chance.randbytes(300).hex().encode() * 20)
    case.name, case.content = (
        f"texts/all.txt{packed[0]}",
        whole[: chance.randrange(1, len(whole) - 9)],
    )
    case.tree["data"]["train"] = {"path": case.name}


@breakage
def nul_characters(case: Case, chance: Any) -> None:
    text = " ".join(chance.choice(WORDS) for _ in range(400)).encode("utf-16-le")
    case.name, case.content = "texts/all.txt", text
    case.tree["data"]["train"] = {"path": case.name}


@breakage
def half_a_surrogate_pair(case: Case, chance: Any) -> None:
    case.name = "texts/all.jsonl"
    case.content = b'{"text": "one \\ud83d two three"}\n' * 20
    case.tree["data"]["train"] = {"path": case.name}


@breakage
def an_empty_file(case: Case, chance: Any) -> None:
    case.name, case.content = (
        "texts/all" + chance.choice([".txt", ".jsonl", ".csv", ".json"]),
        chance.choice([b"", b"\n\n", b" "]),
    )
    case.tree["data"]["train"] = {"path": case.name}


@breakage
def a_folder_of_hidden_files(case: Case, chance: Any) -> None:
    case.beside = {f"folder/.{i}.txt": b"hidden " * 60 for i in range(3)}
    case.tree["data"]["train"] = {"path": "folder"}


@breakage
def an_ending_that_nobody_reads(case: Case, chance: Any) -> None:
    case.name = "texts/all" + chance.choice([".docx", ".pdf", ".epub", "", ".jsonl.zip"])
    case.tree["data"]["train"] = {"path": case.name}
