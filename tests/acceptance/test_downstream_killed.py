"""Killed at random moments, an evaluation goes on to the same files."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time

import pytest

from tests.support.benchmarks import write_benchmarks

pytestmark = pytest.mark.slow
KILLS = 10


def command(model, data, out):
    """Small portions, so that there are many moments to be killed at."""
    names = ["--tasks", "mmlu", "glue", "--forms", "letters", "cloze", "generated"]
    options = ["--data", data, "--out", out, "--batch", "1", "--device", "cpu"]
    return [sys.executable, "-m", "hyperfitting", "evaluate", *map(str, [model, *names, *options])]


def lines(folder):
    """Rows of all sheets so far."""
    files = [*folder.glob("*.part"), *folder.glob("*.jsonl")] if folder.is_dir() else []
    return sum(file.read_bytes().count(b"\n") for file in files if file.exists())


def sheets(folder):
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*.jsonl"))}


def test_ten_kills_leave_no_trace(tiny_model, tmp_path):
    data = write_benchmarks(tmp_path / "data", items=40)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command(tiny_model, data, whole), check=True, capture_output=True)
    random_, total = random.Random(0), lines(whole)
    for kill in range(KILLS):
        process = subprocess.Popen(
            command(tiny_model, data, killed),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wanted = lines(killed) + random_.randint(1, total // (KILLS + 3))
        while process.poll() is None and lines(killed) < wanted:
            time.sleep(0.002)
        assert process.poll() is None, f"kill {kill}: it had ended"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert 0 < lines(killed) < total
    subprocess.run(command(tiny_model, data, killed), check=True, capture_output=True)
    assert sheets(killed) == sheets(whole)
    assert not list(killed.glob("*.part"))
