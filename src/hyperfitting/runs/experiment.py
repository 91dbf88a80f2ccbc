"""A recipe's folder: its data, its runs and its report."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable
from functools import partial
from pathlib import Path

from hyperfitting.errors import RunError
from hyperfitting.facts import ArchiveFacts, DataManifest, read_facts, write_facts
from hyperfitting.files import StoredFile, refuse_blocked_folder, write_text
from hyperfitting.palette import PALETTE_FILE, Palette, read_palette, write_palette
from hyperfitting.recipe import (
    PRETRAINED,
    Recipe,
    differing_settings,
    load_stored_recipe,
    stored_recipe,
)
from hyperfitting.records import MetricRow, TokenBlocks
from hyperfitting.runs.blocks import read_blocks, write_blocks
from hyperfitting.runs.run import Run

_OF_STAGES = {
    "begin_run",
    "drop_stale",
    "has_updates",
    "open_or_new",
    "refuse_archive",
    "refuse_unmeasured",
    "update_what_decides_nothing",
    "write_data",
}


class Experiment:
    """A recipe's folder: its data, its runs and its report."""

    def __init__(self, folder: str | Path, *, at_default: Collection[str] = ()):
        """`at_default`: settings of its stored recipes, as `load_stored_recipe` takes them."""
        self.folder = folder = Path(folder)
        self.recipe_file = folder / "recipe.json"
        self.data_folder = folder / "data"
        self.manifest_file = folder / "data" / "manifest.json"
        self.palette_file = folder / "data" / PALETTE_FILE
        self.archive_file = folder / "archive.json"
        self.report_folder = folder / "report"
        self.report_page = self.report_folder / "index.html"
        self._at_default = at_default
        self._load = partial(load_stored_recipe, at_default=at_default)
        self._recipe = StoredFile(self.recipe_file, self._load)
        self._manifest = StoredFile(self.manifest_file, partial(read_facts, kind=DataManifest))
        self._runs: dict[str, Run] = {}

    def __dir__(self) -> list[str]:
        """The names that Python offers to complete: without those of the stages, which write."""
        return sorted(set(super().__dir__()) - _OF_STAGES)

    def __repr__(self) -> str:
        """The folder, and which run it holds."""
        held = self.recipe.run_name if self.recipe_file.is_file() else "nothing yet"
        return f"<Experiment {self.folder}: {held}>"

    @property
    def recipe(self) -> Recipe:
        """The experiment's recipe.

        Raises:
            RunError: the folder holds no experiment, or one of another version, which is named.
        """
        if not self.recipe_file.is_file():
            raise RunError(
                f"{self.folder} holds no experiment: give the folder that `hyperfit run` wrote"
            )
        return self._recipe.read()

    @classmethod
    def open_or_new(cls, folder: Path, recipe: Recipe) -> Experiment:
        """The experiment of `recipe` in `folder`: one to begin, or the one that is there to go on
        with. Writes nothing.

        Raises:
            RunError: if the folder holds another recipe's experiment, an archive, or anything else.
        """
        experiment = cls(folder)
        experiment.refuse_archive()
        refuse_blocked_folder(folder)
        if experiment.recipe_file.is_file():
            held = experiment.recipe
            if held.digest != recipe.digest:
                raise RunError(
                    f"{folder} holds the run {held.run_name}, not {recipe.run_name} "
                    f"({differing_settings(held, recipe)}): choose another --out, or remove it"
                )
        elif folder.is_dir() and any(folder.iterdir()):
            raise RunError(f"{folder} is not empty and holds no experiment: choose another --out")
        return experiment

    @property
    def archive(self) -> ArchiveFacts | None:
        """What an archive leaves out; None of an experiment with its weights."""
        return read_facts(self.archive_file, ArchiveFacts) if self.archive_file.is_file() else None

    @property
    def holds_texts(self) -> bool:
        """Texts and token ids are there, not their hashes alone."""
        archive = self.archive
        return archive is None or archive.texts

    def refuse_archive(self) -> None:
        """Refuse a folder that holds an archive where weights are needed.

        Raises:
            RunError: it holds one.
        """
        if self.archive_file.is_file() and self.recipe_file.is_file():
            raise RunError(
                f"{self.folder}: an archive holds no weights: give the experiment that it was made "
                "of, or another --out"
            )

    def update_what_decides_nothing(self, recipe: Recipe) -> None:
        """Go on with the engine and the trackers of a recipe, and from its folder: none of these
        decides a result, so they may change.
        """
        given = dict(recipe.path_settings())
        update = {"engine": recipe.engine, "report_to": recipe.report_to}
        for file in [self.recipe_file, *self.folder.glob("*/recipe.json")]:
            held = self._load(file)
            both = [
                (settings, given[key]) for key, settings in held.path_settings() if key in given
            ]
            moved = [
                (old, new)
                for old, new in both
                if old.folders != {each: new.folder_of(each) for each in old.folders}
            ]
            if moved or any(getattr(held, name) != value for name, value in update.items()):
                for settings, now in moved:
                    settings.count_from(now.folder_of)
                write_text(file, stored_recipe(held.model_copy(update=update), file.parent))

    def run(self, variant: str) -> Run:
        """The run of a variant, begun or not.

        Raises:
            RunError: the recipe has no such variant, and no folder is called so.
        """
        run = self._runs.setdefault(
            variant, Run(self.folder / variant, at_default=self._at_default)
        )
        if self.recipe_file.is_file() and not run.folder.is_dir():
            known = (*self.recipe.variant_names, PRETRAINED)
            if variant not in known:
                raise RunError(f"{self.folder} has no variant {variant!r}: {', '.join(known[:-1])}")
        return run

    def begin_run(self, variant: str) -> None:
        """Make a run's folder, with its recipe."""
        run = self.run(variant)
        if not run.recipe_file.is_file():
            write_text(run.recipe_file, stored_recipe(self.recipe.of(variant), run.folder))

    def state(self) -> str:
        """How far it has come, in a word."""
        if self.report_page.is_file():
            return "reported"
        if self.archive is not None:
            return "archived"
        known, begun = self.runs(), self.begun_runs()
        alone = not any(run.variant in known for run in begun)  # as a pretraining's only run is
        runs = begun if begun and alone else list(known.values())
        steps = [("measured", "measured"), ("generated", "generated"), ("trained", "trained")]
        return next(
            (word for word, done in steps if all(getattr(run, done) for run in runs)), "begun"
        )

    def runs(self) -> dict[str, Run]:
        """The runs of the recipe's variants, the original first."""
        return {variant: self.run(variant) for variant in self.recipe.variant_names}

    def metric_rows(self) -> list[MetricRow]:
        """The metric rows of all runs; true texts and controls stand among the original's."""
        return [row for run in self.runs().values() for row in run.metrics()]

    def begun_runs(self) -> list[Run]:
        """The runs whose folders are there, whatever their variants are called."""
        return [self.run(file.parent.name) for file in sorted(self.folder.glob("*/recipe.json"))]

    def refuse_unmeasured(self) -> None:
        """Refuse an experiment of which a run is not measured yet.

        Raises:
            RunError: names the run and the command; or the folder holds no experiment.
        """
        for variant, run in self.runs().items():
            if not run.measured:
                raise RunError(
                    f"{self.folder}: the {variant} run is not measured yet: "
                    f"run `hyperfit measure {self.folder}`"
                )

    def drop_stale(self) -> list[str]:
        """Remove what was made with weights that are no longer there, and the report on it; of
        which runs.
        """
        dropped = [variant for variant, run in self.runs().items() if run.drop_stale()]
        if dropped:
            shutil.rmtree(self.report_folder, ignore_errors=True)
        return dropped

    @property
    def has_updates(self) -> bool:
        """Whether a model has been trained by at least one update."""
        return any(file.stat().st_size for file in self.folder.glob("*/updates.jsonl"))

    @property
    def drawn(self) -> bool:
        """The data are there, whole."""
        return self.manifest_file.is_file()

    def write_data(
        self,
        recipe: Recipe,
        sets: Iterable[TokenBlocks],
        manifest: DataManifest,
        palette: Palette | None = None,
    ) -> None:
        """Keep the recipe, the blocks drawn for it and how they were drawn; of images, their
        colours.
        """
        write_text(self.recipe_file, stored_recipe(recipe, self.folder))
        if palette is not None and recipe.data.images is not None:
            write_palette(self.palette_file, palette, recipe.data.images.side)
        for blocks in sets:
            write_blocks(self._blocks_file(blocks.name), blocks)
        write_facts(self.manifest_file, manifest)

    @property
    def palette(self) -> Palette | None:
        """The colours of the images, float32 (K, 3) in [-1, 1]; None of an experiment with texts.

        Raises:
            ModelError: the file is damaged.
        """
        return read_palette(self.palette_file) if self.palette_file.is_file() else None

    @property
    def manifest(self) -> DataManifest:
        """Sources, hashes, counts and leaks of the data.

        Raises:
            RunError: the data were not drawn, or manifest.json cannot be read.
        """
        return self._manifest.read()

    def blocks(self, name: str) -> TokenBlocks:
        """The drawn blocks of `train`, `validation` or a set of contexts.

        Raises:
            RunError: they are not drawn, are damaged, or this is an archive without texts.
        """
        if not self.holds_texts:
            raise RunError(
                f"{self.folder}: an archive without texts holds no token ids: give the experiment "
                "itself"
            )
        return read_blocks(self._blocks_file(name), name, self.manifest.codec)

    def _blocks_file(self, name: str) -> Path:
        return self.data_folder / (
            f"{name}.npz" if name in ("train", "validation") else f"contexts-{name}.npz"
        )
