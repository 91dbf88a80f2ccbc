"""One stream of llama.cpp, timed in a process of its own (door to xllamacpp).

Its threads wait busily between two texts: in the benchmark's process a token of ours took 29 ms
instead of 19. So a process lives for one turn, and none of torch's threads are in it.

    python -m bench.llama_cpp FILE THREADS NEW_TOKENS < ids.json
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WARM_UPS = 2


def is_installed() -> bool:
    """Whether the package xllamacpp is there."""
    return importlib.util.find_spec("xllamacpp") is not None


def timed_stream(
    file: Path, ids: Sequence[int], *, new_tokens: int, threads: int
) -> tuple[float, list[int]]:
    """Seconds in which llama.cpp continues one text greedily, in a new process after a warm-up; and
    the new ids.
    """
    command = [sys.executable, "-m", "bench.llama_cpp", str(file), str(threads), str(new_tokens)]
    ended = subprocess.run(
        command, input=json.dumps(list(ids)), capture_output=True, text=True, check=True
    )
    held = json.loads(ended.stdout.splitlines()[-1])
    return held["seconds"], held["ids"]


def _serve(file: str, threads: int) -> Any:
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path, settings.n_ctx, settings.n_parallel = file, 512, 1
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
    return xllamacpp.Server(settings)


def _main(file: str, threads: int, new_tokens: int) -> None:
    server = _serve(file, threads)
    asked = {
        "prompt": json.load(sys.stdin),
        "n_predict": new_tokens,
        "temperature": 0,
        "repeat_penalty": 1.0,
        "ignore_eos": True,
        "cache_prompt": False,
    }
    for _ in range(WARM_UPS):
        named = server.handle_completions({**asked, "logprobs": 1})  # names the ids, takes longer
    started = time.perf_counter()
    server.handle_completions(asked)
    seconds = time.perf_counter() - started
    ids = [each["id"] for each in named["choices"][0]["logprobs"]["content"]]
    print(json.dumps({"seconds": seconds, "ids": ids}), flush=True)


if __name__ == "__main__":
    _main(sys.argv[1], *map(int, sys.argv[2:]))
