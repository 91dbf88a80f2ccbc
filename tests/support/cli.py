"""The command line called in this process."""

from __future__ import annotations

from hyperfitting.cli import main


def refused(capsys, *arguments):
    """Exit code 2 and one line on standard error."""
    try:
        code = main(arguments)
    except SystemExit as error:
        code = error.code
    captured = capsys.readouterr()
    assert code == 2, captured.err
    assert captured.out == ""
    assert captured.err.startswith("hyperfit: ")
    assert captured.err.count("\n") == 1
    return captured.err
