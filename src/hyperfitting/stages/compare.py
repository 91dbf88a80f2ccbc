"""Compare measured experiments: DIR/index.html, report.md and the tables. It needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from hyperfitting import comparing, report


@dataclass(frozen=True)
class Compared:
    """A comparison and the path of its page."""

    comparison: comparing.Comparison
    page: Path

    def __repr__(self) -> str:
        """The page, and what stands side by side on it."""
        return f"<Compared {self.page}: {self.comparison!r}>"

    def _repr_html_(self) -> str:
        """What a notebook shows of it: which columns are nearest to the true texts, and the
        page.
        """
        lines = [*report.nearest_lines(self.comparison), *report.verdict_lines(self.comparison)]
        shown = escape("\n".join(lines))
        return f"<p>Nearest to the true texts</p><pre>{shown}</pre><p>{escape(str(self.page))}</p>"

    @property
    def summary(self) -> Path:
        """The same values as JSON, a row for each metric of each column."""
        return self.page.with_name("summary.json")


def compare_experiments(
    folders: str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    *,
    baseline: str | None = None,
) -> Compared:
    """Measured experiments side by side, every variant in every strategy, written as pages and
    tables.

    Examples:
        >>> compared = hyperfitting.compare(["runs/mine"], "compared")
        >>> print(compared.page)
        compared/index.html

    Args:
        folders: of seeds of one recipe, or of several recipes; or a single one.
        out: where the pages go; none: `runs/compare-<folder>-<folder>...`.
        baseline: the title of the column that the others are compared with; none: `hyperfitted,
            greedy`.

    Raises:
        RunError: no folder is given, a folder holds no measured experiment, or `out` holds
            something else.
    """
    given = [folders] if isinstance(folders, str | Path) else folders
    experiments = [Path(folder) for folder in given]
    names = "-".join(folder.resolve().name for folder in experiments)[:100]
    out = Path(out or Path("runs") / f"compare-{names}")
    report.refuse_other_folder(out)
    comparison = comparing.compare(experiments, baseline=baseline)
    return Compared(comparison, report.write_comparison(comparison, out))
