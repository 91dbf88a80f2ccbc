"""The claims about decoding at full count: 1,000 blocked texts against brute force, batches against
one at a time, three processes against one. Contexts are the corpora's Wikipedia, not part of the
project: see tests/support/corpora.py.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest

from hyperfitting.cli.text import agreement_lines
from hyperfitting.models import load_codec
from hyperfitting.progress import Console
from hyperfitting.recipe import load_recipe
from hyperfitting.runs import Experiment
from hyperfitting.stages.draw import draw_experiment
from hyperfitting.stages.generate import compare_with_reference, generate_texts
from hyperfitting.stages.train import train_run
from tests.support.corpora import DATA, needs_data

pytestmark = [pytest.mark.slow, needs_data]
CITED = 5
RULES = {
    "greedy": 'method="greedy"',
    "penalty": 'method="greedy", repetition_penalty=1.2',
    "nucleus": 'method="sample", temperature=0.7, top_k=50, top_p=0.9',
    "sampling": 'method="sample"',
    "min-p": 'method="sample", min_p=0.1',
}
BLOCKED = [
    f'{{name="{name}-{mode}", {rule}, blocker={{mode="{mode}", tokens={CITED}}}}}'
    for mode in ("token", "word")
    for name, rule in RULES.items()
]


def strategy(name):
    return f'{{name="{name}", {RULES[name]}}}'


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The demo's model, hyperfitted, with 100 contexts of Wikipedia."""
    source = DATA / "text" / "domains" / "wikipedia.jsonl.gz"
    changes = [
        f'data.domains=[{{name="wikipedia", count=100, source={{path="{source}"}}}}]',
        f"generate.strategies=[{', '.join(BLOCKED)}]",
        "generate.new_tokens=96",
        "generate.batch_contexts=100",
    ]
    experiment = draw_experiment(
        load_recipe("demo", changes), tmp_path_factory.mktemp("decoding") / "out"
    )
    train_run(experiment, "hyperfitted", progress=Console())
    return experiment


def again(trained, folder, strategies, batch):
    """The same trained experiment with other strategies, nothing generated yet."""
    shutil.copytree(
        trained.folder,
        folder,
        ignore=shutil.ignore_patterns("continuations.jsonl", "blocked.jsonl"),
    )
    experiment = Experiment(folder)
    recipe = load_recipe(
        experiment.recipe_file,
        [f"generate.strategies=[{strategies}]", f"generate.batch_contexts={batch}"],
    )
    experiment.recipe_file.write_text(recipe.canonical_json())
    return experiment


def test_a_thousand_blocked_texts_hold_nothing_forbidden_and_cut_no_word(trained):
    run = generate_texts(trained, "hyperfitted", progress=Console())
    follows: dict[tuple[int, ...], set[int]] = {}
    for block in trained.blocks("train").ids_NT.tolist():
        for start in range(len(block) - CITED):
            follows.setdefault(tuple(block[start : start + CITED]), set()).add(block[start + CITED])
    words = load_codec(trained.recipe.model).word_boundaries
    yielded = {(row.strategy, row.context, row.step) for row in run.blocked() if row.gave_way}
    texts = [text for text in run.continuations() if text.variant == "hyperfitted"]
    chances = changed = 0
    for text in texts:
        for step in range(CITED, len(text.ids)):
            before, token = text.ids[step - CITED : step], text.ids[step]
            forbidden = follows.get(tuple(before), set())
            if text.strategy.endswith(
                "-word"
            ):  # a word under way may end: only what begins a new one is forbidden
                forbidden = {
                    each
                    for each in forbidden
                    if not (words.ends_V[before[-1]] and words.begins_V[each])
                }
            chances += bool(forbidden)
            assert token not in forbidden or (text.strategy, text.context, step) in yielded
    changed = sum(row.changed_greedy for row in run.blocked())
    for row in run.blocked():
        if row.strategy.endswith("-word"):
            assert row.citation[-1].isspace() or all(
                piece[:1].isspace() for piece in row.forbidden if piece
            )
    print(
        f"\n{len(texts)} blocked texts: {chances} steps with something forbidden, {changed} "
        f"changed the greedy choice, {len({key[:2] for key in yielded})} texts where the rule gave "
        "way"
    )
    assert len(texts) == 1000
    assert chances > 100


def test_a_text_alone_is_as_in_a_batch_of_64(trained, tmp_path):
    experiment = again(
        trained, tmp_path / "out", f"{strategy('greedy')}, {strategy('nucleus')}", 64
    )
    generate_texts(experiment, "hyperfitted", progress=Console())
    said = agreement_lines(
        compare_with_reference(experiment, "hyperfitted", 64, progress=Console())
    )
    print(f"\n{said}")
    margins = [float(found) for found in re.findall(r"margin (\S+)", said)]
    assert "of 128 texts are those of reference mode" in said
    assert all(margin < 1e-4 for margin in margins)


def test_three_processes_write_what_one_writes(trained, tmp_path):
    strategies = f"{strategy('greedy')}, {strategy('sampling')}"
    one, three = (again(trained, tmp_path / name, strategies, 16) for name in ("one", "three"))
    generate_texts(one, "hyperfitted", progress=Console())
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "3",
        "--master-port",
        "29611",
    ]
    train_run(three, "original")  # `generate` continues with every run of an experiment
    subprocess.run(
        [*command, "-m", "hyperfitting", "generate", str(three.folder)], check=True, timeout=1500
    )
    alone, shared = (
        {(t.strategy, t.context): t.ids for t in each.run("hyperfitted").continuations()}
        for each in (one, three)
    )
    differing = sum(alone[key] != shared[key] for key in alone)
    print(f"\n{differing} of {len(alone)} texts differ between one process and three")
    assert len(alone) == 200
    assert differing == 0
