"""Which benchmarks the models of an experiment answer, and how: `[evaluate]`."""

from __future__ import annotations

from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from hyperfitting.recipe.base import (
    Count,
    CountOrZero,
    Dtype,
    PathSettings,
    Settings,
    refuse_equal_names,
)

Form = Literal["letters", "cloze", "generated"]
"""How a question with choices is put to a model."""

FORMS: tuple[Form, ...] = get_args(Form)


class BenchmarkSettings(Settings):
    """One benchmark, or a group of them, and how much of it."""

    name: str = Field(
        min_length=1,
        description="`mmlu`, `arc_easy`, `arc_challenge`, `cola`, `mnli`, `mrpc`, `qnli`, `qqp`, "
        "`rte`, `sst2`; the groups `arc` and `glue`, of which only the files that are there are "
        "taken; a name of lm-evaluation-harness, which needs a network, or a task file of it.",
    )
    forms: tuple[Form, ...] = Field(
        ("letters", "cloze"),
        min_length=1,
        description="`letters`: the choices stand in the question, and the likeliest letter is the "
        "answer. `cloze`: the likeliest text of a choice. `generated`: greedy text, read by a "
        "parser. A task of lm-evaluation-harness has its own form.",
    )
    limit: Count | None = Field(
        None,
        description="At most so many items of each subject, drawn by `evaluate.seed`; none: all.",
    )
    examples: CountOrZero = Field(0, description="Solved examples before each question (few-shot).")
    chat_forms: tuple[Form, ...] = Field(
        (),
        description="Forms that are put into the model's chat template though `evaluate.chat` is "
        'off, such as `["generated"]`: many models of chats answer nothing outside of one.',
    )

    @model_validator(mode="after")
    def _forms_are_distinct(self) -> Self:
        refuse_equal_names(self.forms, "forms")
        refuse_equal_names(self.chat_forms, "chat_forms")
        return self


class EvaluateSettings(PathSettings):
    """The benchmarks that all variants answer. Without `tasks` the stage is left out."""

    PATHS = ("data",)
    tasks: tuple[BenchmarkSettings, ...] = Field(
        (), description="The benchmarks; none: the stage is left out."
    )
    data: str | None = Field(
        None,
        description="The folder of the benchmarks' files: `mmlu_test.jsonl`, `arc.jsonl`, "
        "`glue/RTE_dev.tsv`, ... (also .gz, .xz, .zst).",
    )
    seed: CountOrZero = Field(
        0,
        description="Decides which items `limit` leaves and which examples are shown. It does not "
        "follow `seed`, so that all cells of a study answer the same items.",
    )
    dtype: Dtype | None = Field(
        None,
        description="Dtype of the weights that answer; none: `model.dtype`. In `bfloat16` answers "
        "at near-ties change with the size of the batch.",
    )
    batch_items: Count = Field(16, description="Texts read side by side.")
    chat: bool = Field(
        False, description="Put each question into the user's turn of the model's chat template."
    )
    answer_tokens: Count = Field(16, description="New tokens of an answer in the form `generated`.")

    @model_validator(mode="after")
    def _tasks_are_distinct(self) -> Self:
        refuse_equal_names([each.name for each in self.tasks], "tasks of evaluate")
        return self
