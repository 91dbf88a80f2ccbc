"""The notebook of the documents, from its first cell to its last, in a kernel of its own."""

import nbformat
import pytest
from nbclient import NotebookClient

from hyperfitting.runs import Experiment
from tests.support.source import ROOT

NOTEBOOK = ROOT / "docs" / "tutorial" / "hyperfitting.ipynb"
TINY = """
changes = {
    "train.epochs": 1, "data.train_blocks": 8, "data.validation_blocks": 4, "probe.contexts": 2,
    "probe.new_tokens": 8, "generate.new_tokens": 24, "measure.bootstrap_draws": 50,
    **{f"data.domains.{number}.count": 4 for number in range(3)},
}
out = "tiny"
"""


def test_it_is_committed_without_outputs():
    cells = [cell for cell in nbformat.read(NOTEBOOK, 4).cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


@pytest.mark.slow
def test_the_notebook_runs_on_tiny_settings(tmp_path):
    book = nbformat.read(NOTEBOOK, 4)
    (settings,) = [cell for cell in book.cells if "parameters" in cell.metadata.get("tags", [])]
    settings.source = TINY
    NotebookClient(book, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    nbformat.write(book, tmp_path / "executed.ipynb")
    shown = {cell.id: cell.outputs for cell in book.cells if cell.cell_type == "code"}
    assert "<svg" in shown["run"][-1].data["text/html"]
    assert "demo-" in shown["recipe"][-1].data["text/html"]
    assert "hyperfitted, greedy" in shown["table"][-1].data["text/html"]
    assert all("image/png" in shown[name][-1].data for name in ("curves", "texts"))
    written = "".join(each.text for each in shown["write"] if each.name == "stdout")
    assert all(f"{name}: It was late, and" in written for name in ("original", "hyperfitted"))
    assert Experiment(tmp_path / "tiny").state() == "reported"
