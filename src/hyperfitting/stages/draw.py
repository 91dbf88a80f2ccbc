"""Draw the data of an experiment: recipe.json and data/."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hyperfitting import data, models, training
from hyperfitting.errors import ModelError, RunError
from hyperfitting.facts import SourceFacts
from hyperfitting.files import changed_at
from hyperfitting.progress import NO_PROGRESS, Progress
from hyperfitting.recipe import ImageSettings, Recipe
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
            fitted = fit(recipe)
            for line in converted_lines(fitted.drawn.manifest.sources):
                progress.log(f"data: {line}")
            palette = fitted.codec.palette if isinstance(fitted.codec, models.ImageCodec) else None
            drawn = fitted.drawn
            experiment.write_data(recipe, drawn.sets, drawn.manifest, palette)
        experiment.update_what_decides_nothing(recipe)

    training.join_processes(models.resolve_device(device)).on_main(claim_and_draw)
    return Experiment(folder)


def experiment_folder(recipe: Recipe, out: str | Path | None) -> Path:
    """Where an experiment stands: `out`, or `runs/<name>-<digest8>`."""
    return Path("runs") / recipe.run_name if out is None else Path(out)


def converted_lines(sources: Sequence[SourceFacts]) -> Iterator[str]:
    """What was changed of the images of each source when they were read: a line for each source
    where something was.
    """
    for each in sources:
        if each.images is not None and each.images.converted:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in each.images.converted.items())
            yield f"{each.path}: images that were converted to RGB: {kinds}"


def codec_of(experiment: Experiment) -> models.ModelCodec:
    """The codec that an experiment's data were drawn with.

    Raises:
        RunError: the model has another tokenizer, or other colours, than when they were drawn.
    """
    codec = models.load_codec(experiment.recipe.model, experiment.palette)
    if experiment.manifest.codec != codec.fingerprint:
        what = "tokenizer" if isinstance(codec, models.TextCodec) else "image processor"
        raise RunError(
            f"{experiment.folder}: the data were drawn with another {what}: choose another --out"
        )
    return codec


def chat_frame_of(recipe: Recipe, codec: models.ModelCodec) -> ChatFrame | None:
    """What stands around a recipe's contexts in a chat; None without a chat."""
    if not recipe.data.holds_chats:
        return None
    return models.chat_frame(recipe.model, codec, recipe.data.chat_instruction)


@dataclass(frozen=True)
class Fitted:
    """A recipe's model without weights, with what is trained of it; its codec; and its data."""

    selection: models.TrainableModel
    codec: models.ModelCodec
    drawn: data.DatasetSplits


def fit(recipe: Recipe) -> Fitted:
    """Bring model and data together, which refuses whatever does not fit. Nothing is written."""
    side = models.image_side(recipe.model)
    _refuse_other_kind(recipe, side)
    models.check_length(recipe.model, recipe.read_tokens)
    selection = models.select_trained(models.build_empty(recipe.model), recipe.train)
    for variant in recipe.variants:
        models.select_trained(models.build_empty(recipe.model), recipe.of(variant.name).train)
    if recipe.data.images is not None:
        return _fit_images(recipe, recipe.data.images, selection)
    codec = models.load_codec(recipe.model)
    _ = chat_frame_of(recipe, codec)  # refuses a template that cannot be used, by the model's name
    return Fitted(selection, codec, data.draw_data(recipe, codec))


def _refuse_other_kind(recipe: Recipe, side: int | None) -> None:
    """Refuse a model of images, of `side` rows, for texts, one of texts for images, and images of
    another size.

    Raises:
        ModelError: names the model and the setting.
    """
    source, images = recipe.model.source, recipe.data.images
    if images is None and side is not None:
        raise ModelError(
            f"{source}: it continues images, and the recipe's data are texts: set "
            f"data.images.side = {side}, or name a language model"
        )
    if images is not None and side is None:
        raise ModelError(
            f"{source}: it continues texts, and data.images asks for images: name an ImageGPT "
            "model, or leave data.images out"
        )
    if images is not None and images.side != side:
        raise ModelError(
            f"{source}: it continues images of {side} x {side} pixels: set data.images.side = "
            f"{side} in the place of {images.side}"
        )


def _fit_images(recipe: Recipe, images: ImageSettings, selection: models.TrainableModel) -> Fitted:
    """The images of a recipe, in the colours of its model; a model with random weights and without
    colours gets those that are fitted to its training images.
    """
    settings, palette = recipe.model, models.load_palette(recipe.model)
    if palette is not None or settings.initialise == "pretrained":
        models.load_codec(settings)  # refuses missing colours, and those of another number
    drawn, palette = data.draw_images(recipe, images, palette, models.colour_count(settings))
    return Fitted(selection, models.load_codec(settings, palette), drawn)
