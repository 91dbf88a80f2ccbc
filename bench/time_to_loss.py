"""End to end: whole processes, ours and the public loop's, from their start to the first epoch with
a mean loss below 0.1.

The shipped model on 256 blocks of fiction (HYPERFITTING_DATA names the corpora's folder), at the
learning rate that needs the fewest updates in one shared sweep. Compiled layers
begin with an empty cache every time.
`python -m bench.time_to_loss ours|compiled|public RATE BLOCKS.npy` runs one process.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch

DATA = Path(os.environ.get("HYPERFITTING_DATA", Path(__file__).parents[2] / "shared" / "data"))
RATES = (2e-3, 1e-3)
ENOUGH, MOST_EPOCHS = 0.1, 40
CONTENDERS = ("ours", "compiled", "public")


def report_time_to_loss(device: torch.device, rounds: int) -> dict[str, float]:
    """Print the sweep, then ours, ours compiled and the public loop in turn; the median speed-up of
    each over the last.
    """
    corpus = DATA / "text" / "domains" / "fiction.jsonl.gz"
    if not corpus.is_file():
        print(
            "time to loss: skipped, the corpora are not here: set HYPERFITTING_DATA to their folder"
        )
        return {}
    with tempfile.TemporaryDirectory() as folder:
        blocks = draw_blocks(corpus, Path(folder))
        sweep = {rate: finish("ours", rate, blocks)[1] for rate in RATES}
        rate = min(RATES, key=lambda each: sweep[each])
        print(
            f"time to loss: updates to a loss below {ENOUGH}: {sweep}; both at {rate:g}", flush=True
        )
        turns = [
            {contender: finish(contender, rate, blocks) for contender in CONTENDERS}
            for _ in range(rounds)
        ]
    medians = {}
    for contender in CONTENDERS:
        ratios = sorted(turn["public"][0] / turn[contender][0] for turn in turns)
        medians[contender] = statistics.median(ratios)
        seconds = statistics.median(turn[contender][0] for turn in turns)
        print(
            f"time to loss, start-up included: {contender}: {seconds:.0f} s, "
            f"{statistics.median(ratios):.2f}x the public loop (from {ratios[0]:.2f} to "
            f"{ratios[-1]:.2f}, {rounds} rounds), {turns[0][contender][1]} updates",
            flush=True,
        )
    return medians


def draw_blocks(corpus: Path, folder: Path) -> Path:
    import numpy as np

    from hyperfitting import data, models
    from hyperfitting.recipe import load_recipe

    recipe = load_recipe(
        "three-domains", [f"data.train.path={corpus}", 'data.domains=[{name="fiction", count=1}]']
    )
    drawn = data.draw_data(recipe, models.load_codec(recipe.model))
    np.save(folder / "blocks.npy", drawn.sets[0].ids_NT)
    return folder / "blocks.npy"


def finish(contender: str, rate: float, blocks: Path) -> tuple[float, int]:
    """The seconds of a whole process that starts with an empty compile cache, and the number of its
    updates.
    """
    command = [sys.executable, "-m", "bench.time_to_loss", contender, str(rate), str(blocks)]
    with tempfile.TemporaryDirectory() as empty:
        environment = {**os.environ, "TMPDIR": empty, "TORCHINDUCTOR_CACHE_DIR": empty}
        started = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        return time.perf_counter() - started, int(done.stdout.split()[-1])


def ours(rate: float, ids_NT: object, *, compile_: bool = False) -> int:
    from bench.training import recipe_tree, run_loop
    from hyperfitting.recipe import parse_recipe
    from hyperfitting.records import ProbeRow

    train = {
        "learning_rate": rate,
        "updates": None,
        "epochs": MOST_EPOCHS,
        "stop": "train-loss",
        "stop_loss": ENOUGH,
    }
    tree = recipe_tree("asset:reference-lm", updates=0, train=train, engine={"compile": compile_})
    tree["probe"] = {"every_updates": 10**6}
    tree["model"]["initialise"] = "pretrained"
    row = ProbeRow(0, 0.0, None, *[0.5] * 7, "", "")
    return len(
        run_loop(
            parse_recipe(tree, source="bench"),
            ids_NT,
            torch.device("cpu"),
            lambda state, epoch, variants: row,
        )
    )


def public(rate: float, ids_NT: object) -> int:
    from bench.baselines import public_loop
    from hyperfitting.models import load_model
    from hyperfitting.recipe import ModelSettings

    model = load_model(ModelSettings(source="asset:reference-lm"), torch.device("cpu"))
    losses: list[float] = []
    per_epoch = -(-len(ids_NT) // 8)  # type: ignore[arg-type]
    for loss in public_loop(model, ids_NT, rate):  # type: ignore[arg-type]
        losses.append(loss)
        if len(losses) % per_epoch == 0 and statistics.fmean(losses[-per_epoch:]) < ENOUGH:
            break
        if len(losses) == MOST_EPOCHS * per_epoch:
            break
    return len(losses)


if __name__ == "__main__":
    import numpy as np

    made = {"ours": ours, "compiled": partial(ours, compile_=True), "public": public}
    print(made[sys.argv[1]](float(sys.argv[2]), np.load(sys.argv[3])))
