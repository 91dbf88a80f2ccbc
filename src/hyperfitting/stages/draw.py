"""Draw the data of an experiment: recipe.json and data/."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hyperfitting import data, models, training
from hyperfitting.files import changed_at
from hyperfitting.progress import NO_PROGRESS, Progress
from hyperfitting.recipe import Recipe
from hyperfitting.runs import Experiment
from hyperfitting.traits import ChatFrame


def draw_experiment(
    recipe: Recipe,
    out: Path | None = None,
    *,
    device: str = "auto",
    progress: Progress = NO_PROGRESS,
    keep_data: bool = False,
) -> Experiment:
    """Open or begin the folder, check that model and texts fit the recipe, and draw the data; as
    one of torchrun's, wait for it.

    Raises:
        DataError: a local source is not what the data were drawn from, unless `keep_data`.
    """
    folder = experiment_folder(recipe, out)

    def claim_and_draw() -> None:
        experiment = Experiment.open_or_new(folder, recipe)
        if experiment.drawn:
            if not keep_data:
                data.refuse_changed(experiment.manifest.sources, recipe.data, str(folder))
            progress.log(f"data: drawn already, {changed_at(experiment.manifest_file)}")
        else:
            drawn = fit(recipe).drawn
            experiment.write_data(recipe, drawn.sets, drawn.manifest)
        experiment.update_engine_and_paths(recipe)

    training.join_processes(models.resolve_device(device)).on_main(claim_and_draw)
    return Experiment(folder)


def experiment_folder(recipe: Recipe, out: Path | None) -> Path:
    """Where an experiment stands: `out`, or `runs/<name>-<digest8>`."""
    return out or Path("runs") / recipe.run_name


def chat_frame_of(recipe: Recipe, codec: models.TextCodec) -> ChatFrame | None:
    """What stands around a recipe's contexts in a chat; None without a chat."""
    return codec.chat_frame(recipe.data.chat_instruction) if recipe.data.holds_chats else None


@dataclass(frozen=True)
class Fitted:
    """A recipe's model without weights, with what is trained of it; its codec; and its data."""

    selection: models.TrainableModel
    codec: models.TextCodec
    drawn: data.DatasetSplits


def fit(recipe: Recipe) -> Fitted:
    """Bring model and texts together, which refuses whatever does not fit. Nothing is written."""
    models.check_length(recipe.model, recipe.text_tokens)
    selection = models.select_trained(models.build_empty(recipe.model), recipe.train)
    for variant in recipe.variants:
        models.select_trained(models.build_empty(recipe.model), recipe.of(variant.name).train)
    codec = models.load_codec(recipe.model)
    return Fitted(selection, codec, data.draw_data(recipe, codec))
