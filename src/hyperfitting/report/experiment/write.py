"""Everything of the report's folder: the page, the same in Markdown, the rows as CSV and JSON, the pictures."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyperfitting.errors import RunError
from hyperfitting.files import new_folder, write_text
from hyperfitting.metrics.overlap import TrainingIndex
from hyperfitting.metrics.repetition import repeated_run_lengths
from hyperfitting.records import Continuation, MetricRow
from hyperfitting.report.experiment import tables as pivot
from hyperfitting.report.kit.page import style, templates
from hyperfitting.runs import Experiment

_COLUMNS = tuple(field.name for field in dataclasses.fields(MetricRow))


@dataclass(frozen=True)
class Example:
    """One context as in A, Figure 1: the texts side by side, each token with the length of its repeated run."""

    domain: str
    title: str
    context: str
    texts: list[tuple[str, Sequence[str], list[int]]]


@dataclass(frozen=True)
class Passage:
    """One recited passage, and the training text that it stands in."""

    tokens: int
    text: str
    where: str
    source: str


def check_installed() -> None:
    """Import what a report is made with.

    Raises:
        ModuleNotFoundError: the extra `report` is not installed.
    """
    from hyperfitting.report.kit import figures  # noqa: F401

    templates()


def write_report(experiment: Experiment) -> Path:
    """Write the report of a measured experiment and return the page's path. Always anew, whole or not at all.

    Raises:
        RunError: if a run is not measured yet.
    """
    from hyperfitting.report.kit import figures

    _ = experiment.recipe  # refuses a folder that holds none
    for role, run in experiment.runs().items():
        if not run.measured:
            raise RunError(
                f"{experiment.folder}: the {role} run is not measured yet: run `hyperfit measure {experiment.folder}`"
            )
    rows, shown, recited = pivot.all_rows(experiment), examples(experiment), passages(experiment)
    probes = experiment.run("hyperfitted").probes()
    with new_folder(experiment.report_folder) as folder:
        figures.save_png(figures.curves(probes), folder / "curves.png")
        for number, example in enumerate(shown, 1):
            figures.save_png(
                figures.coloured_texts(example.texts), folder / f"example-{number}.png"
            )
        write_text(folder / "summary.json", summary_json(rows, verdict=_verdict(experiment)))
        write_text(folder / "table.csv", table_csv(rows))
        write_text(folder / "report.md", _markdown(experiment, shown, recited))
        write_text(
            folder / "index.html", _page(experiment, shown, recited, figures.curve_svgs(probes))
        )
    return experiment.report_folder / "index.html"


def summary_json(rows: Sequence[MetricRow], *, verdict: str = "") -> str:
    """All rows as a JSON list of objects, one a line.

    A `verdict` that the model was not hyperfitted stands as `note` in the row of its training loss.
    """
    return "[\n" + ",\n".join(_json_row(row, verdict) for row in rows) + "\n]\n"


def _json_row(row: MetricRow, verdict: str) -> str:
    noted = verdict and (row.variant, row.domain, row.name) == (
        "hyperfitted",
        "train",
        "train_loss",
    )
    fields = {key: getattr(row, key) for key in _COLUMNS} | ({"note": verdict} if noted else {})
    return json.dumps(fields, ensure_ascii=False)


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


def table_csv(rows: Sequence[MetricRow]) -> str:
    """All rows as CSV; an empty field where there is no value."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows([getattr(row, key) for key in _COLUMNS] for row in rows)
    return buffer.getvalue()


def examples(experiment: Experiment) -> list[Example]:
    """The first contexts of each set in turn, in the recipe's first strategy: not chosen by anyone."""
    recipe = experiment.recipe
    strategy, names = (
        recipe.generate.strategies[0].name,
        [each.name for each in recipe.data.domains],
    )
    texts = {
        (text.domain, text.context, text.variant): text
        for run in experiment.runs().values()
        for text in run.continuations()
        if text.strategy in (strategy, None)
    }
    chosen = (
        [(names[i % len(names)], i // len(names)) for i in range(recipe.report.examples)]
        if names
        else []
    )
    made = []
    for name, context in chosen:
        found = [
            texts[key]
            for model in (*recipe.variant_names, "reference")
            if (key := (name, context, model)) in texts
        ]
        if found:
            made.append(
                Example(
                    name,
                    _cite(found[0]),
                    "".join(found[0].context_pieces),
                    [_coloured(text) for text in found],
                )
            )
    return made


def _coloured(text: Continuation) -> tuple[str, Sequence[str], list[int]]:
    title = {"reference": "the true text"}.get(text.variant, f"{text.variant}, {text.strategy}")
    return title, text.pieces, repeated_run_lengths(text.ids, context=text.context_ids)


def passages(experiment: Experiment) -> list[Passage]:
    """The hyperfitted texts' longest runs that stand in a training block, longest first."""
    blocks = experiment.blocks("train")
    index = TrainingIndex(blocks.ids_NT.tolist())
    texts = [text for text in experiment.run("hyperfitted").continuations() if text.ids]
    shared = index.search([text.ids for text in texts])
    runs = [(text, each.longest) for text, each in zip(texts, shared, strict=True)]
    runs.sort(key=lambda pair: -pair[1].length)
    return [
        Passage(
            run.length,
            "".join(text.pieces[run.start : run.start + run.length]).strip(),
            f"{text.domain}, context {text.context + 1}, {text.strategy}",
            _cite(blocks.origins[run.block]) + f", from token {run.block_start + 1}",
        )
        for text, run in runs[: experiment.recipe.report.passages]
    ]


def _cite(origin: Any) -> str:
    place = f"{origin.source.rsplit('/', 1)[-1]}, row {origin.row}"
    return f"“{origin.title}” ({place})" if origin.title else place


def _markdown(experiment: Experiment, shown: list[Example], recited: list[Passage]) -> str:
    parts = [
        f"# {experiment.recipe.run_name}",
        pivot.headline(experiment),
        *([f"**{verdict}**"] if (verdict := _verdict(experiment)) else []),
        "![loss and type-token ratio by epoch](curves.png)",
    ]
    for table in pivot.tables(experiment):
        parts += [f"## {table.name}", pivot.markdown_table(table)]
    parts.append(
        "Values with 95 % intervals over clusters (none below 10 clusters). "
        "Diversity has no better end: compare with the reference."
    )
    for number, example in enumerate(shown, 1):
        parts += [
            f"## Example {number}: {example.domain}",
            f"> {_one_line(example.context)}",
            f"![the texts, repeats coloured](example-{number}.png)",
        ]
    if recited:
        parts.append("## Most recited passages")
        parts += [
            f"- {each.tokens} tokens ({each.where}): “{_one_line(each.text)}”, in {each.source}"
            for each in recited
        ]
    parts += [
        "## Provenance",
        "```json\n" + json.dumps(_provenance(experiment), indent=1, ensure_ascii=False) + "\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _verdict(experiment: Experiment) -> str:
    """That the model was not hyperfitted, and what to raise; nothing where its training came near zero loss."""
    return str(experiment.run("hyperfitted").verdict or "")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _provenance(experiment: Experiment) -> dict[str, Any]:
    """All that a number rests on: the recipe, the data and what was in effect in each run."""
    return {
        "recipe": json.loads(experiment.recipe.canonical_json()),
        "digest": experiment.recipe.digest,
        "data": experiment.manifest(),
        "runs": {
            run.name: {"folder": role, **run.facts()} for role, run in experiment.runs().items()
        },
    }


def _page(
    experiment: Experiment, shown: list[Example], recited: list[Passage], curves: list[str]
) -> str:
    from hyperfitting.report.kit import figures

    return (
        templates()
        .get_template("experiment/page.html.j2")
        .render(
            recipe=experiment.recipe,
            headline=pivot.headline(experiment),
            verdict=_verdict(experiment),
            tables=pivot.tables(experiment),
            labels=pivot.LABELS,
            number=pivot.number,
            interval=pivot.interval,
            heat=figures.heat_step,
            examples=shown,
            passages=recited,
            curves=curves,
            style=style(),
            provenance=_provenance(experiment),
            taken={key: _taken(experiment, key) for key in ("words", "bleu")},
            runs={role: (run.name, run.facts()) for role, run in experiment.runs().items()},
            manifest=experiment.manifest(),
            zip=zip,
        )
    )


def _taken(experiment: Experiment, key: str) -> list[str]:
    """How each run's measures were taken, in words; empty where it was not kept."""
    return [run.facts().get("measure", {}).get(key, "") for run in experiment.runs().values()]
