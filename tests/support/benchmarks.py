"""Tiny files of benchmarks, and models whose answers are known beforehand."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.words import sentence

SUBJECTS = ("anatomy", "college_biology", "virology")


def mmlu_rows(items: int, *, seed: int = 0, subjects: Any = SUBJECTS) -> list[dict[str, Any]]:
    """So many questions of each subject, with four choices of one to four words."""
    random_ = random.Random(seed)
    return [
        {
            "subject": subject,
            "question": f"{sentence(random_, random_.randint(3, 9))}?",
            "choices": [sentence(random_, random_.randint(1, 4)) for _ in range(4)],
            "answer": random_.randrange(4),
        }
        for subject in subjects
        for _ in range(items)
    ]


def arc_rows(items: int, *, seed: int = 1) -> list[dict[str, Any]]:
    """So many questions of each set of ARC, in turn."""
    rows = mmlu_rows(items, seed=seed, subjects=("easy", "challenge"))
    return [{"set": row.pop("subject"), "split": "test", **row} for row in rows]


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_tsv(path: Path, header: list[str], rows: list[list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(fields) for fields in (header, *rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


GLUE = {
    "CoLA_dev": ("cola", ["sentence", "label"], ("0", "1")),
    "MNLI_dev_matched": (
        "mnli",
        ["sentence1", "sentence2", "gold_label"],
        ("entailment", "neutral", "contradiction"),
    ),
    "MRPC_dev": ("mrpc", ["#1 String", "#2 String", "Quality"], ("0", "1")),
    "QNLI_dev": ("qnli", ["question", "sentence", "label"], ("entailment", "not_entailment")),
    "QQP_dev": ("qqp", ["question1", "question2", "is_duplicate"], ("0", "1")),
    "RTE_dev": ("rte", ["sentence1", "sentence2", "label"], ("0", "1")),
    "SST-2_dev": ("sst2", ["sentence", "label"], ("0", "1")),
}
"""The files of GLUE: the benchmark, the columns in the original names, and the labels."""


def write_benchmarks(folder: Path, *, items: int = 4) -> Path:
    """All files: MMLU with its examples, ARC and GLUE, `items` of each subject."""
    write_jsonl(folder / "mmlu_test.jsonl", mmlu_rows(items))
    write_jsonl(folder / "mmlu_dev.jsonl", mmlu_rows(3, seed=7))
    write_jsonl(folder / "arc.jsonl", arc_rows(items))
    random_ = random.Random(2)
    for name, (_, header, labels) in GLUE.items():
        rows = [
            [*(f'{sentence(random_, 5)} "so' for _ in header[1:]), random_.choice(labels)]
            for _ in range(items)
        ]
        write_tsv(folder / "glue" / f"{name}.tsv", header, rows)
    return folder


def make_bigram_model(folder: Path, tokenizer: Any, follows: Mapping[str, str]) -> Path:
    """A Llama that knows one thing: after each character of `follows` comes its value, and after
    any other nothing in particular. Its attention and its layers add nothing.
    """
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    size = len(tokenizer)
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=size,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=1024,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight", "lm_head.weight")):
                weight.zero_()
        model.get_input_embeddings().weight.copy_(torch.eye(size))
        for before, after in follows.items():
            (one,), (other,) = (
                tokenizer(each, add_special_tokens=False)["input_ids"] for each in (before, after)
            )
            model.lm_head.weight[other, one] = 1.0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class _Split(list[Any]):
    @property
    def features(self) -> dict[str, None]:
        return dict.fromkeys(self[0])


def harness_task(path: str, items: Sequence[Any], examples: Sequence[Any] = ()) -> Any:
    """A task file of lm-evaluation-harness, pointed at these rows."""
    import lm_eval
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks._yaml_loader import load_yaml

    config = load_yaml(Path(lm_eval.__file__).parent / "tasks" / path)
    for name in ("tag", "group"):
        config.pop(name, None)
    names = ("test", "validation", "validation_matched", "train")
    splits = {name: _Split(items) for name in names}
    splits["dev"] = _Split(examples)
    config |= {"custom_dataset": lambda **_: splits, "dataset_path": None, "dataset_name": None}
    return ConfigurableTask(config=config)


def _behind_interface(model: Any) -> Any:
    """A model of ours as lm-evaluation-harness itself asks it; one of its own as it is."""
    from lm_eval.api.model import LM

    class Asked(LM):
        def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
            found = model.likelihoods([each.args for each in requests])
            return [(each.loglikelihood, each.is_greedy) for each in found]

        def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
            raise NotImplementedError

        def generate_until(self, requests: Sequence[Any]) -> list[str]:
            raise NotImplementedError

    return model if isinstance(model, LM) else Asked()


def evaluated_by_harness(task: Any, model: Any) -> list[tuple[list[float], dict[str, Any]]]:
    """What lm-evaluation-harness itself makes of a task: (log-likelihoods, sample) by document."""
    import lm_eval

    model = _behind_interface(model)
    result = lm_eval.evaluate(model, {"tasks": {"t": task}}, bootstrap_iters=0, log_samples=True)
    samples = sorted(result["samples"]["t"], key=lambda each: each["doc_id"])
    return [([each[0][0] for each in one["resps"]], one) for one in samples]
