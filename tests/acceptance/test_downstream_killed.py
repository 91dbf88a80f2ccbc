"""Killed at random moments, an evaluation goes on to the same files."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time

import pytest

from hyperfitting.recipe import BenchmarkSettings, EvaluateSettings
from hyperfitting.stages.evaluate import evaluate_model
from tests.support.benchmarks import write_benchmarks

pytestmark = pytest.mark.slow
KILLS = 10


def settings(data):
    """Small portions, so that there are many moments to be killed at."""
    forms = ("letters", "cloze", "generated")
    tasks = [BenchmarkSettings(name=name, forms=forms) for name in ("mmlu", "glue")]
    return EvaluateSettings(data=str(data), tasks=tuple(tasks), batch_items=1, answer_tokens=4)


def started(model, data, out):
    """A process of its own that evaluates, forked from this one, which has imported all."""
    process = multiprocessing.get_context("fork").Process(
        target=evaluate_model, args=(str(model), out, settings(data)), kwargs={"device": "cpu"}
    )
    process.start()
    return process


def lines(folder):
    """Rows of all sheets so far."""
    files = [*folder.glob("*.part"), *folder.glob("*.jsonl")] if folder.is_dir() else []
    return sum(file.read_bytes().count(b"\n") for file in files if file.exists())


def sheets(folder):
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*.jsonl"))}


def test_ten_kills_leave_no_trace(tiny_model, tmp_path):
    data = write_benchmarks(tmp_path / "data", items=20)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    evaluate_model(str(tiny_model), whole, settings(data), device="cpu")
    random_, total, moments = random.Random(0), lines(whole), []
    for kill in range(KILLS):
        process = started(tiny_model, data, killed)
        wanted = lines(killed) + random_.randint(1, total // (KILLS + 3))
        while process.is_alive() and lines(killed) < wanted:
            time.sleep(0.002)
        assert process.is_alive(), f"kill {kill}: it had ended"
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        moments.append(lines(killed))
    print(f"killed after {moments} of {total} items")
    assert 0 < moments[0] < moments[-1] < total
    process = started(tiny_model, data, killed)
    process.join()
    assert process.exitcode == 0
    assert sheets(killed) == sheets(whole)
    assert not list(killed.glob("*.part"))
