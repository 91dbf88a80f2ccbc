"""How much there is to do in each stage of an experiment, and how much disk it takes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cache

from hyperfitting import models
from hyperfitting.progress import StageWork
from hyperfitting.recipe import ORIGINAL, ModelSettings, Recipe
from hyperfitting.runs import Experiment, Run
from hyperfitting.weights import ordinary_folder

TRAINED_COST = 3.0
"""What a token costs that is trained on, beside one that is read: forward and backward."""
_WRITTEN_COST = 3.0
"""What a token costs that is written, beside one that is read. It depends on model, batch and
dtype; near 3 for 135M parameters on a CPU. The stage's own pace replaces it."""
_CONTROLS = 2
_FLOAT_BYTES = 4
_ADAM_COPIES = 3
"""A checkpoint holds the weights and Adam's two moments."""


def trainings(recipe: Recipe, variants: Collection[str] | None = None) -> list[int]:
    """The updates of each training that makes `variants` (none: all but the original), if nothing
    stops it sooner.
    """
    wanted = set(recipe.variant_names if variants is None else variants) - {ORIGINAL}
    together = {recipe.trained_together(name) for name in wanted}
    blocks = recipe.data.train_blocks
    return [
        max(recipe.of(name).train.total_updates(blocks) for name in names) for names in together
    ]


def planned_work(recipe: Recipe, experiment: Experiment) -> list[StageWork]:
    """The stages of `run` with what is still to be done of each."""
    runs = {run.variant: run for run in experiment.begun_runs()}

    def left(done: Callable[[Run], bool]) -> list[str]:
        return [each for each in recipe.variant_names if each not in runs or not done(runs[each])]

    return stage_work(
        recipe,
        left(lambda run: run.trained),
        left(lambda run: run.generated),
        left(lambda run: run.measured),
    )


def stage_work(
    recipe: Recipe, untrained: Sequence[str], unwritten: Sequence[str], unmeasured: Sequence[str]
) -> list[StageWork]:
    """The stages of `run` with what they have to do for the variants that are named. A step costs
    as many units as tokens are read in it.
    """
    data, generate = recipe.data, recipe.generate
    contexts = sum(each.count for each in data.domains)
    texts = contexts * len(generate.strategies)
    true = contexts * (1 + _CONTROLS) if ORIGINAL in unmeasured else 0
    blocks = data.train_blocks + data.validation_blocks + contexts
    update_tokens = min(recipe.train.batch_blocks, data.train_blocks) * data.block_tokens
    questions = sum((task.limit or 0) * len(task.forms) for task in recipe.evaluate.tasks)
    evaluate = StageWork("evaluate", len(recipe.variant_names) * questions, data.block_tokens)
    return [
        StageWork("train", sum(trainings(recipe, untrained)), TRAINED_COST * update_tokens),
        StageWork("generate", len(unwritten) * texts, _WRITTEN_COST * generate.new_tokens),
        StageWork("measure", true + len(unmeasured) * (texts + blocks), data.block_tokens),
        *([evaluate] if recipe.evaluate.tasks else []),
        StageWork("report", 0, 0.0),
    ]


def working_bytes(recipe: Recipe) -> int:
    """Bytes on the disk that models and checkpoints take while an experiment is trained."""
    checkpoints = _ADAM_COPIES * (recipe.engine.keep_last + 1)  # a new one is written first
    return saved_bytes(recipe) + checkpoints * _model_bytes(recipe.model)


def saved_bytes(recipe: Recipe) -> int:
    """Bytes of the models that an experiment leaves. An original in an ordinary local folder is not
    copied.
    """
    copied = len(recipe.variant_names) - (ordinary_folder(recipe.model) is not None)
    return copied * _model_bytes(recipe.model)


@cache
def _model_bytes(model: ModelSettings) -> int:
    return _FLOAT_BYTES * models.count_parameters(model)
