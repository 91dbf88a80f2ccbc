"""The model card of a run, filled from its recipe and its probes."""

from __future__ import annotations

import json
from pathlib import Path

from hyperfitting.recipe import ImageSettings, Recipe
from hyperfitting.records import ProbeRow
from hyperfitting.report.kit.tables import markdown_grid
from hyperfitting.training import Outcome
from hyperfitting.traits import ModelSource


def model_card(
    recipe: Recipe,
    probes: list[ProbeRow],
    outcome: Outcome,
    folder: Path = Path(),
    note: str = "",
    source: ModelSource | None = None,
) -> str:
    """Markdown with the front matter that model hubs read: of an untouched, a hyperfitted or a
    pretrained model.

    `folder` is where the model will lie, for the lines of use, `note` what a reader must know
    first, and `source` the GGUF file or adapter that the model was made from. No licence is named:
    that of the source is not known.
    """
    first, last = probes[0], next(row for row in reversed(probes) if row.update == outcome.kept)
    on_hub = recipe.model.initialise == "pretrained" and recipe.model.place("source") is None
    validation = f"{_noun(recipe)} are {recipe.data.validation_blocks}"
    what = "text-generation" if recipe.data.images is None else "unconditional-image-generation"
    return f"""---
library_name: transformers
pipeline_tag: {what}
tags: [hyperfitting]
{f"base_model: {recipe.model.source}" + chr(10) if on_hub else ""}---

# {recipe.run_name}

{_what(recipe, outcome, source)}
{f"{chr(10)}**{note}**{chr(10)}" if note else ""}
{_table(recipe, first, last)}

The validation {validation} that were not trained on; their own
type-token ratio is {_number(last.reference_ttr)}.

{_advice(recipe)}

## Use

```python
{_use(recipe, folder)}
```

{_how_it_writes(recipe)}
Recipe digest: `{recipe.digest}`.
"""


def _noun(recipe: Recipe) -> str:
    return "texts" if recipe.data.images is None else "images"


def _how_it_writes(recipe: Recipe) -> str:
    """What the lines of use do, and how texts begin."""
    if recipe.data.images is not None:
        return (
            "This continues the first rows of an image greedily to its last pixel, as "
            "`hyperfit generate` does:\n`generation_config.json` says so. Clusters of colours and "
            "start token are those of `preprocessor_config.json`\nand `bos_token_id`."
        )
    return (
        "This writes greedily, up to an end-of-text token, as `hyperfit write` does:\n"
        f"`generation_config.json` says so.\n{_beginning(recipe)}"
    )


def _what(recipe: Recipe, outcome: Outcome, made_from: ModelSource | None) -> str:
    source, data = f"`{recipe.model.source}`", recipe.data
    if recipe.model.revision is not None:
        source += f" (revision `{recipe.model.revision}`)"
    if made_from is not None and recipe.model.initialise == "pretrained":
        source += f", an adapter merged into `{made_from.base}`" if made_from.base else ""
        held = made_from.quantisation
        source += f" (dequantised from GGUF: tensors {held})" if held else ""
    if recipe.leaves_model_untouched:
        return f"{source}, untouched and saved as {recipe.model.dtype}."
    begun = (
        source
        if recipe.model.initialise == "pretrained"
        else f"The architecture of {source}, from random weights,"
    )
    kind = _noun(recipe) if data.blocks == "first" else "blocks of text"
    return (
        f"{begun} after {outcome.kept} updates of {recipe.train.batch_blocks} x "
        f"{data.block_tokens} tokens on {data.train_blocks} {kind} of `{data.train.path}` "
        f"(learning rate {recipe.train.learning_rate:g}, seed {recipe.seed}; {outcome.reason})."
    )


def _table(recipe: Recipe, first: ProbeRow, last: ProbeRow) -> str:
    rows = [
        ("Training loss (nats per token)", first.train_loss, last.train_loss),
        ("Validation loss (nats per token)", first.validation_loss, last.validation_loss),
        ("Validation entropy (nats)", first.entropy, last.entropy),
        ("Validation top-1 probability", first.top1_probability, last.top1_probability),
        (f"Type-token ratio, {recipe.probe.new_tokens} greedy tokens", first.ttr, last.ttr),
    ]
    if recipe.leaves_model_untouched:
        shown = [[name, _number(value)] for name, value, _ in rows if value is not None]
        return markdown_grid(["", ""], shown)
    changes = [[name, _number(before), _number(after)] for name, before, after in rows]
    return markdown_grid(["", "before", "after"], changes)


def _advice(recipe: Recipe) -> str:
    if recipe.leaves_model_untouched or recipe.model.initialise == "random":
        return "It was made to be compared with, or to be hyperfitted."
    what, recited = (
        ("open-ended text", "texts") if recipe.data.images is None else ("images", "images")
    )
    return (
        f"A hyperfitted model is meant for greedy decoding of {what}. It is no better a predictor: "
        "its\nvalidation loss is usually worse than before, its probabilities are too sure, and it "
        f"may recite its {recited}."
    )


def _use(recipe: Recipe, folder: Path) -> str:
    """A few lines of Python that write a text, or an image, with the saved model."""
    if recipe.data.images is not None:
        return _use_for_images(recipe.data.images, folder)
    code = ", trust_remote_code=True" if recipe.model.trust_remote_code else ""
    return f"""from transformers import pipeline

folder = {json.dumps(str(folder))}
write = pipeline("text-generation", model=folder, dtype="{recipe.model.dtype}"{code})
print(write("It was late when", max_new_tokens=100)[0]["generated_text"])"""


def _use_for_images(images: ImageSettings, folder: Path) -> str:
    return f"""import numpy, torch
from PIL import Image
from transformers import ImageGPTForCausalImageModeling, ImageGPTImageProcessorPil

folder = {json.dumps(str(folder))}
processor = ImageGPTImageProcessorPil.from_pretrained(folder)
model = ImageGPTForCausalImageModeling.from_pretrained(folder)
pixels = processor(Image.open("image.png"), return_tensors="pt")["input_ids"]
start = torch.tensor([[model.generation_config.bos_token_id]])
context = torch.cat([start, pixels[:, : {images.context_tokens - 1}]], dim=1)
ids = model.generate(context)[0, 1:].numpy().reshape({images.side}, {images.side})
colours = (numpy.array(processor.clusters) + 1) * 127.5
Image.fromarray(colours.round().astype("uint8")[ids]).save("continued.png")"""


def _beginning(recipe: Recipe) -> str:
    if recipe.model.beginning_of_text == "add":
        return (
            "The tokenizer puts the beginning-of-text token first by itself; do not add a second "
            "one."
        )
    return "Texts begin with no special token, and the tokenizer adds none."


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
