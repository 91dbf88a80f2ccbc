"""Experiments side by side as a page, the same in Markdown, tidy rows as CSV and JSON, and two
pictures.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyperfitting.comparing import Comparison, MarkedTable, PairedDifference, Seeds, what_differs
from hyperfitting.documents import document_place
from hyperfitting.errors import RunError
from hyperfitting.files import names_in, new_folder, refuse_blocked_folder, write_text
from hyperfitting.records import Arm
from hyperfitting.report.comparison.cells import (
    nearest_lines,
    position_curves,
    rank_shares,
    seed_values,
    size_in_words,
    spread_of,
    subjects,
    verdict_lines,
)
from hyperfitting.report.kit.numbers import number
from hyperfitting.report.kit.page import style, templates
from hyperfitting.report.kit.subject import PAPER, PAPER_ADDRESS, WORDS, counted, data_noun
from hyperfitting.report.kit.tables import csv_text, markdown_grid
from hyperfitting.report.kit.variants import variant_classes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PICTURES = {
    "ttr-by-position": "Type-token ratio by position",
    "ranks": "Ranks of the written tokens under the original",
}
_WRITTEN = {
    "summary.json",
    "table.csv",
    "differences.csv",
    "report.md",
    "index.html",
    *(f"{name}.png" for name in _PICTURES),
}


def write_comparison(comparison: Comparison, folder: Path) -> Path:
    """Write the pages of a comparison and return the first one's path. Always anew, whole or not at
    all.
    """
    from hyperfitting.report.kit import figures

    refuse_other_folder(folder)
    rows = list(_rows(comparison))
    drawn = _draw(comparison)
    with new_folder(folder.resolve()) as partial:  # a link to an earlier comparison stays one
        for name, figure in drawn.items():
            figures.save_png(figure, partial / f"{name}.png")
        write_text(partial / "summary.json", json.dumps(rows, indent=0, ensure_ascii=False) + "\n")
        write_text(partial / "table.csv", csv_text(rows))
        differences = [_difference_row(each) for each in comparison.differences]
        write_text(partial / "differences.csv", csv_text(differences))
        write_text(partial / "report.md", comparison_markdown(comparison, list(drawn)))
        svgs = {name: figures.svg(figure, name) for name, figure in drawn.items()}
        write_text(partial / "index.html", _page(comparison, svgs))
    return folder / "index.html"


def _draw(comparison: Comparison) -> dict[str, Figure]:
    """The pictures that the texts are long enough for, by the names of their files."""
    from hyperfitting.report.comparison.figures import position_figure, rank_figure

    curves, shares = position_curves(comparison), rank_shares(comparison)
    drawn = {"ttr-by-position": position_figure(curves)} if curves else {}
    return drawn | ({"ranks": rank_figure(shares)} if shares else {})


def refuse_other_folder(folder: Path) -> None:
    """Writing anew replaces the whole folder: only an earlier comparison, and nothing beside it,
    may stand there.

    Raises:
        RunError: something else would be lost.
    """
    refuse_blocked_folder(folder)
    held = names_in(folder)
    if held and "differences.csv" not in held:
        raise RunError(f"{folder} is not empty and holds no comparison: choose another --out")
    if others := sorted(held - _WRITTEN):
        raise RunError(
            f"{folder} holds {others[0]} beside a comparison, which would be lost: choose another "
            "--out"
        )


def _rows(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """A row for every arm, metric, domain and seed.

    The last four fields are what earlier versions called domain, variant, strategy and metric.
    """
    for table in comparison.tables:
        for (arm, name), row in table.cells.items():
            yield {
                "domain": table.domain,
                "seed": table.seeds.seed,
                "column": arm.title,
                "variant": arm.variant,
                "strategy": arm.strategy,
                "metric": name,
                "value": row.value,
                "low": row.low,
                "high": row.high,
                "n": row.n,
                "clusters": row.clusters,
                "unit": row.unit,
                "target": row.target,
                "left_out": row.left_out,
                "mark": table.marks.get((arm, name), ""),
                "run": row.run,
                **table.seeds._asdict(),
                "set": table.domain,
                "model": arm.variant,
                "arm": arm.strategy,
                "measure": name,
            }


def _difference_row(each: PairedDifference) -> dict[str, Any]:
    """A difference's fields. `set`, `column` and `measure` are what earlier versions called domain,
    arm and metric.
    """
    named = {"domain": each.domain, "seed": each.seeds.seed} | vars(each) | each.seeds._asdict()
    named |= {"arm": each.arm.title, "baseline": each.baseline.title}
    del named["seeds"]
    return named | {"set": each.domain, "column": each.arm.title, "measure": each.metric}


def comparison_markdown(comparison: Comparison, pictures: Sequence[str] = ()) -> str:
    """The comparison in Markdown: a table for each domain, every seed in each cell; pictures by
    their files' names.
    """
    noun = _noun(comparison)
    parts = ["# Comparison", *(f"**{line}**" for line in verdict_lines(comparison))]
    parts += [_about(comparison), _LEGEND.format(baseline=comparison.baseline.title, noun=noun)]
    parts += filter(None, [_seeds_line(comparison)])
    for domain in comparison.domains:
        tables = comparison.tables_of(domain)
        specs = tables[0].metrics
        rows = [
            [arm.title, *(_markdown_cell(tables, arm, spec.name) for spec in specs)]
            for arm in tables[0].arms
        ]
        grid = markdown_grid(["", *(spec.label for spec in specs)], rows)
        parts += [f"## {domain}", f"{size_in_words(tables, noun)}.", grid]
    parts += [f"![{name.replace('-', ' ')}]({name}.png)" for name in pictures]
    return "\n\n".join(parts) + "\n"


def _markdown_cell(tables: Sequence[MarkedTable], arm: Arm, name: str) -> str:
    values = " / ".join(map(str, seed_values(tables, arm, name)))
    spread = spread_of(tables, arm, name)
    return f"{values}; {spread}" if spread else values


_LEGEND = (
    "Seeds stand one by one, with their spread; with each value its 95 % interval, none below 10 "
    "clusters. ● is nearest to the true {noun}s and told apart from all others, ○ cannot be told "
    "apart from the nearest (95 %, over all pairs of a table). Differences in differences.csv are "
    "to {baseline}."
)


def _seeds_line(comparison: Comparison) -> str:
    """The order in which a cell shows several choices of seeds, and what these share."""
    titles = "; ".join(each.title for each in comparison.seeds)
    said = what_differs(comparison.seeds)
    return f"Each cell shows, in this order: {titles}. {said}" if said else ""


def _noun(comparison: Comparison) -> str:
    """What the page calls one of the data: experiments on texts do not compare with images."""
    return data_noun(next(iter(comparison.experiments.values()))[0].recipe)


def _about(comparison: Comparison) -> str:
    """What is compared, a line for all experiments that are about the same."""
    return "\n".join(
        f"- {', '.join(f'`{name}`' for name in names)}: {line}"
        for line, names in subjects(comparison).items()
    )


def _page(comparison: Comparison, pictures: dict[str, str]) -> str:
    differences: dict[tuple[str, Arm, str], list[PairedDifference]] = {}
    for each in comparison.differences:
        differences.setdefault((each.domain, each.arm, each.metric), []).append(each)
    arms, noun = comparison.tables[0].arms, _noun(comparison)
    return (
        templates()
        .get_template("comparison/page.html.j2")
        .render(
            comparison=comparison,
            subjects=subjects(comparison),
            paper=PAPER,
            paper_address=PAPER_ADDRESS,
            noun=noun,
            words=WORDS,
            metrics=comparison.tables[0].metrics,
            counted=counted,
            definitions=document_place("reference/metrics.md"),
            verdicts=verdict_lines(comparison),
            seeds_line=_seeds_line(comparison),
            seeds_of=lambda experiment: Seeds.of(experiment.recipe),
            written=sum(arm.is_model for arm in arms),
            classes=variant_classes(arm.variant for arm in arms),
            seed_values=seed_values,
            size_in_words=size_in_words,
            spread_of=spread_of,
            differences=differences,
            nearest=nearest_lines(comparison),
            number=number,
            legend=_LEGEND.format(baseline=comparison.baseline.title, noun=noun),
            pictures=[(_PICTURES[name], svg) for name, svg in pictures.items()],
            style=style(),
        )
    )
