"""Commands that are refused."""

from __future__ import annotations

from typing import Any

from hyperfitting.cli import main


def refused(capsys: Any, *arguments: str) -> str:
    """Exit code 2 and one line on standard error, which is returned."""
    try:
        code = main(arguments)
    except SystemExit as error:
        code = error.code  # type: ignore[assignment]
    captured = capsys.readouterr()
    assert code == 2, captured.err
    assert captured.out == ""
    assert captured.err.startswith("hyperfit: ")
    assert captured.err.count("\n") == 1
    return str(captured.err)
