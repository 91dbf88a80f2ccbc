"""progress.html of a study: how far it has come, in a page that reloads itself."""

from __future__ import annotations

from html import escape
from pathlib import Path

from hyperfitting.files import write_text
from hyperfitting.progress import time_in_words
from hyperfitting.studies.status import CellStatus, StudyStatus

RELOAD_SECONDS = 5

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{reload}<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; }}
body {{ padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #ccc; }}
td.number {{ text-align: right; font-variant-numeric: tabular-nums; }}
.failed td {{ color: #a00000; }}
.waiting td {{ color: #595959; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{summary}</p>
<table>
<thead><tr><th>cell</th><th>state</th><th>update</th><th>loss</th><th>TTR</th><th>minutes</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</body>
</html>
"""


def write_progress_page(path: Path, status: StudyStatus, *, running: bool) -> None:
    """Write the page; it reloads itself while the study is `running`."""
    reload = f'<meta http-equiv="refresh" content="{RELOAD_SECONDS}">\n' if running else ""
    rows = "\n".join(_row(each) for each in status.cells)
    page = _PAGE.format(
        reload=reload,
        title=escape(f"Study {status.name}"),
        summary=escape(status_summary(status)),
        rows=rows,
    )
    write_text(path, page, shared=True)


def status_summary(status: StudyStatus) -> str:
    """How many cells are in which state, and the time left, in one line."""
    counts = {
        state: len(status.in_state(state)) for state in ("finished", "running", "failed", "waiting")
    }
    words = [f"{counts['finished']} of {len(status.cells)} cells finished"]
    words += [
        f"{count} {state}" for state, count in counts.items() if count and state != "finished"
    ]
    if status.seconds_left:
        words.append(f"about {time_in_words(status.seconds_left)} left")
    return ", ".join(words)


def _row(each: CellStatus) -> str:
    state = f"{each.state}: {each.words}" if each.words else each.state
    numbers = (
        f"{each.update:,} of {each.updates:,}" if each.updates else "",
        "" if each.loss is None else f"{each.loss:.3f}",
        "" if each.ttr is None else f"{each.ttr:.2f}",
        f"{each.seconds / 60:.1f}" if each.seconds else "",
    )
    cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
    return (
        f'<tr class="{each.state}"><td>{escape(each.cell.title)}</td><td>{escape(state)}</td>'
        f"{cells}</tr>"
    )
