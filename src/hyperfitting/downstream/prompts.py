"""A benchmark in one form -> the config of a task of lm-evaluation-harness, and its documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hyperfitting.downstream.benchmarks import LETTERS, Benchmark, Question
from hyperfitting.downstream.task_files import Prompt, TaskFile
from hyperfitting.recipe import Form

_LETTERED = "\n{% for choice in choices %}{{letters[loop.index0]}}. {{choice}}\n{% endfor %}Answer:"
AFTER_TEXT = "until_after_text"
"""A generation setting of our own: stop strings in the white space that a text begins with do not
count. In the tasks of lm-evaluation-harness they do.
"""
_MEAN = {"aggregation": "mean", "higher_is_better": True}


def harness_config(
    benchmark: Benchmark, form: Form, subject: str, *, examples: int, answer_tokens: int, chat: bool
) -> dict[str, Any]:
    """The task of one subject: all but its data, which `documents` gives.

    The letters and cloze prompts are those of lm-evaluation-harness where it has them. A score is
    comparable with a published one only if the file holds the same part of the benchmark too.
    """
    task = benchmark.task
    prompt = prompt_of(task, form)
    config: dict[str, Any] = {
        "task": f"{benchmark.name}-{form}-{subject}",
        "description": prompt.description,
        "doc_to_text": prompt.question + ("\nAnswer:" if form == "cloze" else _LETTERED),
        "doc_to_choice": "choices" if form == "cloze" else "letters",
        "doc_to_target": "answer",
        "num_fewshot": examples,
        "test_split": "items",
    }
    if examples:
        config["fewshot_split"] = _example_split(task)
        config["fewshot_config"] = {"sampler": "first_n" if task.examples_in_order else "default"}
    if form == "generated":
        # A plain model goes on with the next question after its line, a chat model with a reason.
        # Either may begin with empty lines.
        until = ["\n\n"] if chat else ["\n"]
        kwargs = {"until": until, "max_gen_toks": answer_tokens, AFTER_TEXT: True}
        return config | {
            "output_type": "generate_until",
            "generation_kwargs": kwargs,
            "metric_list": [{"metric": "exact_match", **_MEAN}],
        }
    metrics = ["acc", "acc_norm"] if divides_by_length(task, form) else ["acc"]
    return config | {
        "output_type": "multiple_choice",
        "metric_list": [{"metric": name, **_MEAN} for name in metrics],
    }


def _example_split(task: TaskFile) -> str:
    """Examples from the file of the items are drawn from the same split, so that
    lm-evaluation-harness leaves out the question itself.
    """
    return "items" if task.example_files == task.files else "examples"


def prompt_of(task: TaskFile, form: Form) -> Prompt:
    """The templates of a form; `generated` is asked as `letters` is."""
    return task.cloze if form == "cloze" else task.letters or task.cloze


def divides_by_length(task: TaskFile, form: Form) -> bool:
    """Whether a choice's log-likelihood is divided by its characters before it is compared."""
    return form == "cloze" and task.by_length


def documents(questions: Iterable[Question]) -> list[dict[str, Any]]:
    """Questions as the documents of a task: their fields, choices, letters, answer and subject."""
    return [
        {
            **each.fields,
            "subject": each.subject,
            "choices": list(each.choices),
            "letters": list(LETTERS[: len(each.choices)]),
            "answer": each.answer,
        }
        for each in questions
    ]
