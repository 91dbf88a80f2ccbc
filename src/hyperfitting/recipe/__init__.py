"""A recipe: one experiment as a frozen, strict, typed tree, read from TOML with overrides, and the
shipped ones.
"""

from hyperfitting.recipe.amounts import checked_number, memory_size
from hyperfitting.recipe.base import (
    ContextFormat,
    Count,
    CountOrZero,
    Decay,
    Dtype,
    Name,
    PathSettings,
    Positive,
    Settings,
    Share,
    Trained,
)
from hyperfitting.recipe.data import DataSettings, Domain, TextSource
from hyperfitting.recipe.differences import differing_settings
from hyperfitting.recipe.evaluate import FORMS, BenchmarkSettings, EvaluateSettings, Form
from hyperfitting.recipe.images import ImageSettings
from hyperfitting.recipe.load import (
    copy_recipe,
    load_recipe,
    load_stored_recipe,
    parse_recipe,
    parse_settings,
    read_or_given,
    recipe_path,
    shipped_descriptions,
    shipped_recipes,
)
from hyperfitting.recipe.model import ModelSettings
from hyperfitting.recipe.notes import recipe_notes
from hyperfitting.recipe.paths import stored_recipe
from hyperfitting.recipe.problems import is_unicode
from hyperfitting.recipe.reference import (
    recipe_schema,
    settings_list,
    settings_markdown,
    settings_table,
)
from hyperfitting.recipe.settings import (
    LEAST_MAUVE_TEXTS,
    GenerateSettings,
    MeasureSettings,
    Recipe,
    ReportSettings,
)
from hyperfitting.recipe.strategies import (
    GREEDY,
    PAPER_NUCLEUS,
    BlockerSettings,
    DrySettings,
    Strategy,
)
from hyperfitting.recipe.train import (
    EngineSettings,
    LoraSettings,
    ProbeSettings,
    TrackerName,
    TrainSettings,
)
from hyperfitting.recipe.tree import (
    Overrides,
    apply_overrides,
    as_overrides,
    dotted,
    read_settings_text,
    read_tree,
)
from hyperfitting.recipe.unknown import stood_at_default
from hyperfitting.recipe.variants import HYPERFITTED, ORIGINAL, PRETRAINED, Variant

__all__ = [
    "FORMS",
    "GREEDY",
    "HYPERFITTED",
    "LEAST_MAUVE_TEXTS",
    "ORIGINAL",
    "PAPER_NUCLEUS",
    "PRETRAINED",
    "BenchmarkSettings",
    "BlockerSettings",
    "ContextFormat",
    "Count",
    "CountOrZero",
    "DataSettings",
    "Decay",
    "Domain",
    "DrySettings",
    "Dtype",
    "EngineSettings",
    "EvaluateSettings",
    "Form",
    "GenerateSettings",
    "ImageSettings",
    "LoraSettings",
    "MeasureSettings",
    "ModelSettings",
    "Name",
    "Overrides",
    "PathSettings",
    "Positive",
    "ProbeSettings",
    "Recipe",
    "ReportSettings",
    "Settings",
    "Share",
    "Strategy",
    "TextSource",
    "TrackerName",
    "TrainSettings",
    "Trained",
    "Variant",
    "apply_overrides",
    "as_overrides",
    "checked_number",
    "copy_recipe",
    "differing_settings",
    "dotted",
    "is_unicode",
    "load_recipe",
    "load_stored_recipe",
    "memory_size",
    "parse_recipe",
    "parse_settings",
    "read_or_given",
    "read_settings_text",
    "read_tree",
    "recipe_notes",
    "recipe_path",
    "recipe_schema",
    "settings_list",
    "settings_markdown",
    "settings_table",
    "shipped_descriptions",
    "shipped_recipes",
    "stood_at_default",
    "stored_recipe",
]
