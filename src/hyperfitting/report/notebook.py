"""An experiment as a notebook shows it: its headline and curves, its metrics as a table of pandas,
its pictures as figures of matplotlib.
"""

from __future__ import annotations

from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from hyperfitting.errors import InputError
from hyperfitting.records import Arm
from hyperfitting.report.experiment.examples import examples
from hyperfitting.report.experiment.tables import headline
from hyperfitting.report.experiment.write import training_curves
from hyperfitting.report.kit.page import light_and_dark
from hyperfitting.report.kit.subject import data_noun
from hyperfitting.runs import Experiment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ReportFigure = Literal["curves", "key", "texts"]


class NotebookExperiment(Experiment):
    """An experiment's folder: its recipe, its runs, and what was measured of them. A notebook shows
    its headline and curves.

    Examples:
        >>> experiment = hyperfitting.Experiment("runs/mine")
        >>> list(experiment.runs())
        ['original', 'hyperfitted']
        >>> experiment.run("hyper")
        Traceback (most recent call last):
        hyperfitting.errors.RunError: runs/mine has no variant 'hyper': original, hyperfitted
    """

    def table(self, *, wide: bool = False) -> Any:
        """All metrics as a pandas DataFrame.

        Examples:
            >>> frame = hyperfitting.Experiment("runs/mine").table(wide=True)
            >>> list(frame.columns)[:2]
            ['original, greedy', 'original, nucleus']

        Args:
            wide: a row for each domain and metric, and a column for each arm, which hold values
                alone. Otherwise a row for each metric of each arm, with interval, n and unit.

        Raises:
            InputError: pandas is not installed.
            RunError: there is no such experiment.
        """
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise InputError(
                "a table needs pandas, which is not installed: pip install pandas, or read the "
                "same rows without it: experiment.run(variant).metrics()"
            ) from error

        rows = self.metric_rows()
        frame = pandas.DataFrame([asdict(row) for row in rows])
        if not wide:
            return frame
        frame["arm"] = [Arm(row.variant, row.strategy).title for row in rows]
        frame["metric"] = [
            row.name if row.position is None else f"{row.name}_{row.position}" for row in rows
        ]
        return frame.pivot_table("value", ["domain", "metric"], "arm", sort=False)

    def plot(self, what: ReportFigure = "curves", *, example: int = 1) -> Figure:
        """A picture of the report as a matplotlib figure.

        Examples:
            >>> figure = hyperfitting.Experiment("runs/mine").plot("curves")
            >>> figure.savefig("curves.png")
            >>> hyperfitting.Experiment("runs/mine").plot("key").savefig("key.png")

        Args:
            what: `curves` are loss and type-token ratio by epoch; `key` are the losses and the
                metrics that tell most, of all domains, beside the true texts; `texts` are one
                context with its continuations, their repeats coloured.
            example: which of the report's examples `texts` shows, from 1.

        Raises:
            InputError: there is no such picture or example.
            RunError: for `key`, the experiment is not measured yet.
        """
        from hyperfitting.report.experiment.figures import coloured_texts, curves

        if what == "curves":
            return curves(training_curves(self))
        if what == "key":
            return self._key_figure()
        shown = [each for each in examples(self) if each.texts]
        if what != "texts":
            raise InputError(f"no picture {what!r}: there are curves, key and texts")
        if not 1 <= example <= len(shown):
            raise InputError(f"no example {example}: there are {len(shown)}")
        return coloured_texts(shown[example - 1].context, shown[example - 1].texts)

    def _key_figure(self) -> Figure:
        from hyperfitting.report.experiment.key_figure import key_figure

        self.refuse_unmeasured()
        figure = key_figure(self.recipe, self.metric_rows(), data_noun(self.recipe))
        if figure is None:
            raise InputError(
                f"{self.folder}: none of the metrics of the picture 'key' was measured"
            )
        return figure

    def _repr_html_(self) -> str:
        """What a notebook shows of it: what happened, and the curves."""
        from hyperfitting.report.experiment.figures import curve_svgs

        if not self.recipe_file.is_file() or self.state() not in (
            "measured",
            "reported",
            "archived",
        ):
            return f"<p>{escape(repr(self))}</p>"
        drawn = "".join(f"<figure>{each}</figure>" for each in curve_svgs(training_curves(self)))
        page = self.report_page
        more = f"The report: {page}" if page.is_file() else str(self.folder)
        return (
            f'<div class="hyperfitting"><style>{_cell_style()}</style>'
            f"<p><b>{escape(self.recipe.run_name)}</b> {escape(headline(self))}</p>"
            f'<div class="curves">{drawn}</div><p class="quiet">{escape(more)}</p></div>'
        )


_CELL = """
.hyperfitting { background: var(--card); color: var(--ink); padding: .8rem 1rem; border-radius: 8px;
  max-width: 62rem; font: 15px/1.5 system-ui, sans-serif; }
.hyperfitting p { margin: 0 0 .6rem; } .hyperfitting .quiet { color: var(--quiet); margin: 0; }
.hyperfitting .curves { display: grid; gap: .8rem; margin-bottom: .6rem;
  grid-template-columns: repeat(auto-fit, minmax(16rem, 1fr)); }
.hyperfitting figure { margin: 0; } .hyperfitting svg { width: 100%; height: auto; display: block; }
"""


def _cell_style() -> str:
    """The pages' colours and a layout for one cell: as the system is, light or dark, unless the
    notebook's program says what it is itself.
    """
    light, dark = light_and_dark()
    return (
        f".hyperfitting {{{light}}}"
        f"@media (prefers-color-scheme: dark) {{ .hyperfitting {{{dark}}} }}"
        f'[data-jp-theme-light="true"] .hyperfitting, .vscode-light .hyperfitting {{{light}}}'
        f'[data-jp-theme-light="false"] .hyperfitting, .vscode-dark .hyperfitting {{{dark}}}'
        f"{_CELL}"
    )
