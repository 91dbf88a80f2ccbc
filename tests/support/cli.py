"""The command line called in this process, and in a new one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hyperfitting.cli import main

UTF8 = {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}


def refused(capsys, *arguments):
    """Exit code 2 and one line on standard error."""
    try:
        code = main([str(each) for each in arguments])
    except SystemExit as error:
        code = error.code
    captured = capsys.readouterr()
    assert code == 2, captured.err
    assert captured.out == ""
    assert captured.err.startswith("hyperfit: ")
    assert captured.err.count("\n") == 1
    return captured.err


def run_python(arguments: Iterable[Any], environment: Mapping[str, str] = UTF8) -> Any:
    """Python in a process of its own, in another locale; what is said are bytes."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("LC_", "LANG", "PYTHONIO"))
    }
    command = [os.fsencode(part) for part in (sys.executable, *arguments)]
    return subprocess.run(
        command, env={**kept, **environment}, capture_output=True, check=False, timeout=300
    )


class Ended(NamedTuple):
    """What a command came to."""

    code: int
    out: bytes
    err: bytes


_IN_TURN = """
import sys

missing, *arguments = sys.argv[1:]
sys.modules.update(dict.fromkeys(missing.split()))
from hyperfitting.cli import main

while arguments:
    end = arguments.index("then")
    command, arguments = arguments[:end], arguments[end + 1:]
    print(end=f"\\0{main(command)}\\0")
    print(end="\\0", file=sys.stderr)
"""


def in_turn(
    commands: Sequence[Sequence[Any]],
    *,
    missing: str = "",
    environment: Mapping[str, str] = UTF8,
) -> list[Ended]:
    """Commands one after the other in one new process that lacks some packages, since a new process
    for each would spend most of its time on imports.
    """
    words = [str(word) for command in commands for word in (*command, "then")]
    done = run_python(["-c", _IN_TURN, missing, *words], environment)
    assert done.returncode == 0, done.stderr
    said, told = done.stdout.split(b"\0"), done.stderr.split(b"\0")
    found = zip(said[1::2], said[:-1:2], told[:-1], strict=True)
    return [Ended(int(code), out, err) for code, out, err in found]
