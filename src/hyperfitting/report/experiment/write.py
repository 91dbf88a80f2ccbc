"""Everything of the report's folder: the page, the same in Markdown, the rows as CSV and JSON, the
pictures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyperfitting.comparing import Mark, marks_of
from hyperfitting.downstream.tables import EvaluationRow, experiment_rows
from hyperfitting.files import make_folder, new_folder, write_text
from hyperfitting.recipe import ORIGINAL
from hyperfitting.records import Arm, MetricRow
from hyperfitting.report.experiment import tables as pivot
from hyperfitting.report.experiment.all_texts import all_texts_page
from hyperfitting.report.experiment.evaluation import evaluation_csv_rows, evaluation_grids
from hyperfitting.report.experiment.examples import (
    Example,
    RecitedPassage,
    examples,
    recited_passages,
    texts_by_variant,
)
from hyperfitting.report.kit.heat import heat_step
from hyperfitting.report.kit.numbers import interval, number
from hyperfitting.report.kit.page import style, templates
from hyperfitting.report.kit.subject import (
    PAPER,
    PAPER_ADDRESS,
    WORDS,
    counted,
    data_noun,
    subject,
)
from hyperfitting.report.kit.tables import csv_text
from hyperfitting.report.kit.variants import variant_classes
from hyperfitting.runs import Experiment

NO_TEXTS = (
    "This report was made from an archive that holds hashes instead of texts, so it shows no "
    "examples and no recited passages."
)


if TYPE_CHECKING:
    from hyperfitting.report.experiment.figures import TrainingCurve


def check_installed() -> None:
    """Import what a report is made with.

    Raises:
        ModuleNotFoundError: the extra `report` is not installed.
    """
    from hyperfitting.report.kit import figures  # noqa: F401

    templates()


def write_report(experiment: Experiment) -> Path:
    """Write the report of a measured experiment and return the page's path. Always anew, whole or
    not at all.

    Raises:
        RunError: if a run is not measured yet.
    """
    from hyperfitting.report.experiment.evaluation_figure import difference_figure
    from hyperfitting.report.experiment.figures import curve_svgs, curves
    from hyperfitting.report.experiment.key_figure import key_figure
    from hyperfitting.report.kit import figures

    experiment.refuse_unmeasured()
    rows, held = experiment.metric_rows(), texts_by_variant(experiment)
    shown, recited = examples(experiment, held), recited_passages(experiment, held)
    answers, noun = experiment_rows(experiment), data_noun(experiment.recipe)
    trained = training_curves(experiment)
    with new_folder(experiment.report_folder) as folder:
        figures.save_png(curves(trained), folder / "curves.png")
        if (key := key_figure(experiment.recipe, rows, noun)) is not None:
            figures.save_png(key, folder / "key.png")
        _save_examples(shown, folder)
        write_text(folder / "summary.json", summary_json(rows, verdict=_verdict(experiment)))
        write_text(folder / "table.csv", csv_text([table_row(row) for row in rows]))
        if (differences := difference_figure(answers)) is not None:
            figures.save_png(differences, folder / "evaluation.png")
        if answers:
            write_text(folder / "evaluation.csv", csv_text(evaluation_csv_rows(answers)))
        write_text(
            folder / "report.md",
            _markdown(experiment, shown, recited, answers, key=key is not None),
        )
        page = experiment_page(
            experiment,
            shown,
            recited,
            curve_svgs(trained),
            key="" if key is None else figures.svg(key, "key"),
            answers=answers,
            differences="" if differences is None else figures.svg(differences, "evaluation"),
        )
        write_text(folder / "index.html", page)
        if texts := all_texts_page(experiment, held):
            write_text(folder / "texts.html", texts)
    return experiment.report_page


def training_curves(experiment: Experiment) -> list[TrainingCurve]:
    """The probes of every trained variant."""
    from hyperfitting.report.experiment.figures import TrainingCurve

    return [
        TrainingCurve(variant, run.probes(), run.train_facts.kept_update)
        for variant, run in experiment.runs().items()
        if variant != ORIGINAL
    ]


def _save_examples(shown: Sequence[Example], folder: Path) -> None:
    """A picture of each example; of images also each image as it is, and all of them as a grid."""
    from hyperfitting.report.experiment.figures import coloured_texts
    from hyperfitting.report.experiment.picture_figures import mapped_pictures, picture_grid
    from hyperfitting.report.kit.figures import save_png

    for count, example in enumerate(shown, 1):
        figure = (
            mapped_pictures(example.pictures)
            if example.pictures
            else coloured_texts(example.context, example.texts)
        )
        save_png(figure, folder / f"example-{count}.png")
        for each in example.pictures:
            name = each.title.replace(", ", "-").replace(" ", "-")
            make_folder(folder / "pictures")
            (folder / "pictures" / f"example-{count}-{name}.png").write_bytes(each.png)
    if pictured := [example.pictures for example in shown if example.pictures]:
        save_png(picture_grid(pictured), folder / "pictures.png")


def summary_json(
    rows: Sequence[MetricRow],
    *,
    verdict: str = "",
    more: Callable[[MetricRow], dict[str, str]] = lambda row: {},
) -> str:
    """All rows as a JSON list of objects, one a line; `more` are further fields of a row.

    A `verdict` that the model was not hyperfitted stands as `note` in the row of its training loss.
    """
    return "[\n" + ",\n".join(_json_row(row, verdict, more(row)) for row in rows) + "\n]\n"


def _json_row(row: MetricRow, verdict: str, more: dict[str, str]) -> str:
    of_training = (row.variant, row.domain, row.name) == ("hyperfitted", "train", "train_loss")
    noted = {"note": verdict} if verdict and of_training else {}
    return json.dumps(table_row(row) | more | noted, ensure_ascii=False)


def table_row(row: MetricRow) -> dict[str, Any]:
    """A row's fields. `model`, `set` and `arm` are what earlier versions called variant, domain and
    strategy.
    """
    return vars(row) | {
        "model": row.variant,
        "set": row.domain,
        "arm": row.strategy,
    }


def is_table_of_texts(path: Path) -> bool:
    """Whether a file is a table of `hyperfit measure FILE`, judged by its first row."""
    with path.open(encoding="utf-8", errors="replace") as file:
        opening, first = file.readline(3), file.readline(10_000)
    try:
        row = json.loads(first.rstrip().removesuffix(","))
    except (ValueError, RecursionError):
        return False
    return (
        opening == "[\n"
        and isinstance(row, dict)
        and row.keys() >= {"variant", "name", "value"}
        and _of_texts(row)
    )


def _of_texts(row: dict[str, Any]) -> bool:
    return row.get("domain") == "texts" and row["variant"] in ("texts", "reference")


def _markdown(
    experiment: Experiment,
    shown: list[Example],
    recited: list[RecitedPassage],
    answers: Sequence[EvaluationRow],
    *,
    key: bool,
) -> str:
    parts = [
        f"# {experiment.recipe.run_name}",
        pivot.headline(experiment),
        *([f"**{verdict}**"] if (verdict := _verdict(experiment)) else []),
        subject(experiment),
        "![loss and type-token ratio by epoch](curves.png)",
        *(["![key metrics of each arm, by domain](key.png)"] if key else []),
    ]
    for table in pivot.tables(experiment):
        parts += filter(None, [f"## {table.name}", table.note, pivot.markdown_table(table)])
    parts.append(
        "Values with 95 % intervals over clusters (none below 10 clusters). "
        "Diversity has no better end: compare with the reference."
    )
    if absent := pivot.not_measured(experiment.recipe):
        parts.append(absent)
    for grid in evaluation_grids(answers):
        parts += [f"## {grid.title}", grid.note, grid.markdown]
    if any(row.difference for row in answers):
        parts.append("![differences to the original by benchmark](evaluation.png)")
    if not experiment.holds_texts:
        parts.append(NO_TEXTS)
    if shown and shown[0].pictures:
        parts += [
            "## All examples",
            "![the images; above the line is what was given](pictures.png)",
        ]
    for count, example in enumerate(shown, 1):
        parts += [
            f"## Example {count}: {example.domain}",
            f"> {_one_line(example.context or example.title)}",
            f"![{'the images' if example.pictures else 'the texts'}, repeats coloured]"
            f"(example-{count}.png)",
        ]
    if shown and shown[0].seen:
        seen = "` `".join(each.replace("\n", "\\n") for each in shown[0].seen)
        parts.append(f"What the model saw of the first context, token by token: `{seen}`")
    if recited:
        parts.append("## Most recited passages")
        parts += [
            f"- {each.tokens} tokens ({each.where}): “{_one_line(each.text)}”, in {each.source}"
            for each in recited
        ]
    provenance = json.dumps(_provenance(experiment), indent=1, ensure_ascii=False)
    parts += ["## Provenance", f"```json\n{provenance}\n```"]
    return "\n\n".join(parts) + "\n"


def _verdict(experiment: Experiment) -> str:
    """That the model was not hyperfitted, and what to raise; empty where its training came near
    zero loss.
    """
    return str(experiment.run("hyperfitted").verdict or "")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _provenance(experiment: Experiment) -> dict[str, Any]:
    """What every number depends on: the recipe, the data and what was in effect in each run."""
    return {
        "recipe": json.loads(experiment.recipe.canonical_json()),
        "digest": experiment.recipe.digest,
        "data": experiment.manifest.model_dump(mode="json"),
        "runs": {
            run.name: {"folder": variant, **run.facts.model_dump(mode="json")}
            for variant, run in experiment.runs().items()
        },
    }


def experiment_page(
    experiment: Experiment,
    shown: list[Example],
    recited: list[RecitedPassage],
    curves: list[str],
    *,
    key: str = "",
    answers: Sequence[EvaluationRow] = (),
    differences: str = "",
) -> str:
    """The report's page in HTML; `curves`, `key` and `differences` are SVG."""
    tables, runs = pivot.tables(experiment), experiment.runs()
    texts = experiment.holds_texts and experiment.recipe.data.images is None
    return (
        templates()
        .get_template("experiment/page.html.j2")
        .render(
            recipe=experiment.recipe,
            noun=data_noun(experiment.recipe),
            subject=subject(experiment),
            counted=counted,
            paper=PAPER,
            paper_address=PAPER_ADDRESS,
            headline=pivot.headline(experiment),
            key=key,
            has_all_texts=texts,
            marks=_marks(experiment),
            families=pivot.families,
            words=WORDS,
            metrics=pivot.shown_metrics(tables),
            verdict=_verdict(experiment),
            tables=tables,
            grids=evaluation_grids(answers),
            differences=differences,
            kept_early=any(
                run.train_facts.kept_update < run.train_facts.updates for run in runs.values()
            ),
            not_measured=pivot.not_measured(experiment.recipe),
            classes=variant_classes(
                [
                    *(arm.variant for table in tables for arm in table.arms),
                    *(row.variant for row in answers),
                ]
            ),
            number=number,
            interval=interval,
            heat=heat_step,
            examples=shown,
            passages=recited,
            curves=curves,
            style=style(),
            no_texts="" if experiment.holds_texts else NO_TEXTS,
            provenance=_provenance(experiment),
            taken=_taken(experiment),
            runs={variant: (run.name, run.facts) for variant, run in runs.items()},
            manifest=experiment.manifest,
            zip=zip,
        )
    )


def _marks(experiment: Experiment) -> dict[str, dict[tuple[Arm, str], Mark]]:
    """By domain; none of an experiment that was measured before there were metrics of each text."""
    measured = all(run.text_metrics_file.is_file() for run in experiment.runs().values())
    return marks_of(experiment) if measured else {}


def _taken(experiment: Experiment) -> dict[str, list[str]]:
    """How each run's words and BLEU were taken; empty where it was not kept."""
    found = [run.facts.measure for run in experiment.runs().values()]
    return {
        "words": [(each and each.words) or "" for each in found],
        "bleu": [(each and each.bleu) or "" for each in found],
    }
