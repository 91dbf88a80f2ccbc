"""Generation as a stage: the same texts whatever the batch or the interruption; and what the
blocker did.
"""

import json
import shutil

import pytest

from hyperfitting import generate
from hyperfitting.cli import main
from hyperfitting.cli.text import agreement_lines
from hyperfitting.files import read_rows
from hyperfitting.models import load_codec
from hyperfitting.recipe import BlockerSettings, parse_recipe
from hyperfitting.records import Continuation
from hyperfitting.runs import Experiment
from hyperfitting.stages.generate import compare_with_reference, generate_texts
from hyperfitting.stages.train import train_experiment
from tests.support.recipes import tiny_tree

ARMS = [
    {"name": "greedy", "method": "greedy"},
    {"name": "blocked", "method": "greedy", "blocker": {"tokens": 2}},
    {
        "name": "words",
        "method": "greedy",
        "blocker": {"tokens": 2, "mode": "word", "context": True},
    },
    {
        "name": "nucleus",
        "method": "sample",
        "temperature": 0.7,
        "top_k": 50,
        "top_p": 0.9,
        "blocker": {"tokens": 2},
    },
    {"name": "min-p", "method": "sample", "min_p": 0.1, "repetition_penalty": 1.2},
    {"name": "dry", "method": "greedy", "dry": {}, "no_repeat_ngram": 6},
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_model, corpus):
    """Two runs trained, in a recipe of six strategies; nothing is generated yet."""
    tree = tiny_tree(tiny_model, corpus)
    tree["generate"] = {"new_tokens": 24, "batch_contexts": 5, "strategies": ARMS}
    return train_experiment(
        parse_recipe(tree, source="t"), tmp_path_factory.mktemp("strategies") / "out", device="cpu"
    )


@pytest.fixture(scope="module")
def written(trained):
    generate_texts(trained, "hyperfitted", device="cpu")
    return trained.run("hyperfitted")


@pytest.fixture
def fresh(trained, tmp_path):
    """The same trained experiment in a folder of the test's own, nothing written by its hyperfitted
    run.
    """
    shutil.copytree(trained.folder, tmp_path / "out")
    experiment = Experiment(tmp_path / "out")
    for path in (
        experiment.run("hyperfitted").continuations_file,
        experiment.run("hyperfitted").blocked_file,
    ):
        path.unlink(missing_ok=True)
    return experiment


def texts(run):
    return {(text.domain, text.strategy, text.context): text.ids for text in run.continuations()}


def test_every_context_is_continued_in_every_arm_in_order(written):
    rows = written.continuations()
    assert [row.strategy for row in rows] == [
        strategy["name"] for strategy in ARMS for _ in range(12)
    ]
    assert [row.context for row in rows] == list(range(12)) * len(ARMS)
    assert not written.parts_folder.exists()
    assert written.facts.generate.strategies[1].blocker == BlockerSettings(
        mode="token", tokens=2, context=False
    )


def test_texts_can_be_written_by_bfloat16_weights_and_measured_by_float32(trained, tmp_path):
    shutil.copytree(trained.folder, tmp_path / "out")
    tree = json.loads((tmp_path / "out/recipe.json").read_text())
    tree["generate"]["dtype"] = "bfloat16"
    (tmp_path / "out/recipe.json").write_text(json.dumps(tree))
    run = generate_texts(Experiment(tmp_path / "out"), "original", device="cpu")
    assert run.facts.generate.dtype == "bfloat16"
    assert run.facts.generate.decoding == "packed for many texts"
    assert run.recipe.model.dtype == "float32"


def test_reference_mode_is_float32_whatever_dtype_generates(trained):
    tree = trained.recipe.model_dump(mode="json")
    tree["generate"] |= {"mode": "reference", "dtype": "bfloat16"}
    assert parse_recipe(tree, source="t").generating_dtype == "float32"


def test_a_stopped_generation_goes_on_where_it_was(fresh, written, monkeypatch):
    true_write, calls = generate.TextGenerator.write, []

    def stops_at_the_fourth(self, batch, **names):
        calls.append(batch)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return true_write(self, batch, **names)

    monkeypatch.setattr(generate.TextGenerator, "write", stops_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        generate_texts(fresh, "hyperfitted", device="cpu")
    run = fresh.run("hyperfitted")
    assert not run.generated
    (part,) = run.parts_folder.glob("continuations-*.jsonl")
    part.write_text(part.read_text() + '{"model": "hyperf')  # as a kill would leave it
    assert len(read_rows(part, Continuation)) == 12
    generate_texts(fresh, "hyperfitted", device="cpu")
    assert len(calls) == 4 + len(generate.batches(fresh.recipe)) - 3
    assert texts(run) == texts(written)
    assert run.blocked() == written.blocked()


def test_the_batch_changes_no_text(fresh, written, tree):
    for size, mode in ((12, "fast"), (5, "reference")):
        recipe = fresh.recipe
        settings = recipe.generate.model_copy(update={"batch_contexts": size, "mode": mode})
        changed = recipe.model_copy(update={"generate": settings})
        fresh.recipe_file.write_text(changed.canonical_json())
        run = fresh.run("hyperfitted")
        run.continuations_file.unlink(missing_ok=True)
        generate_texts(fresh, "hyperfitted", device="cpu")
        assert texts(run) == texts(written), mode
        assert {(row.strategy, row.context, row.step) for row in run.blocked()} == {
            (row.strategy, row.context, row.step) for row in written.blocked()
        }


def test_no_text_holds_what_the_blocker_forbids(trained, written):
    blocks = trained.blocks("train").ids_NT.tolist()
    follows = {}
    for block in blocks:
        for start in range(len(block) - 2):
            follows.setdefault(tuple(block[start : start + 2]), set()).add(block[start + 2])
    codec = load_codec(trained.recipe.model)
    yielded = {(row.strategy, row.context, row.step) for row in written.blocked() if row.gave_way}
    recorded = {(row.strategy, row.context, row.step): row for row in written.blocked()}
    for text in written.continuations():
        if text.strategy not in ("blocked", "words", "nucleus"):
            continue
        ids = [*text.context_ids, *text.ids] if text.strategy == "words" else list(text.ids)
        for place in range(2, len(ids)):
            step = place - (len(text.context_ids) if text.strategy == "words" else 0)
            forbidden = follows.get(tuple(ids[place - 2 : place]), set()) if step >= 0 else set()
            if text.strategy == "words":
                forbidden = {
                    token
                    for token in forbidden
                    if not (
                        codec.word_boundaries.ends_V[ids[place - 1]]
                        and codec.word_boundaries.begins_V[token]
                    )
                }
            key = (text.strategy, text.context, step)
            if forbidden:
                assert set(recorded[key].forbidden_ids) == forbidden
                assert (ids[place] not in forbidden) or key in yielded
            else:
                assert key not in recorded
    assert any(row.changed_greedy for row in written.blocked())
    assert all(row.passages and "row " in row.passages[0] for row in written.blocked())


def test_no_word_is_cut_in_word_mode(trained, written):
    codec = load_codec(trained.recipe.model)
    rows = [row for row in written.blocked() if row.strategy == "words"]
    assert rows
    for row in rows:
        assert row.citation[-1].isspace() or all(
            codec.decode([token])[:1].isspace() for token in row.forbidden_ids
        )


def test_the_words_of_a_tokenizer(tiny_model, tiny_tokenizer):
    from hyperfitting.recipe import ModelSettings

    words = load_codec(ModelSettings(source=str(tiny_model))).word_boundaries
    for token in tiny_tokenizer.get_vocab().values():
        text = tiny_tokenizer.decode([token])
        if token:
            assert words.begins_V[token] == (not text[0].isspace())
            assert words.ends_V[token] == (not text[-1].isspace())
    assert not words.begins_V[0]  # end-of-text has no text


def test_it_is_compared_with_reference_mode(trained, written, capsys):
    said = agreement_lines(compare_with_reference(trained, "hyperfitted", 3, device="cpu"))
    assert said == "hyperfitted: 18 of 18 texts are those of reference mode"


def test_a_difference_from_reference_mode_is_named_with_its_margin(fresh, written):
    rows = [json.loads(line) for line in written.continuations_file.read_text().splitlines()]
    for row in rows:
        if row["strategy"] in ("greedy", "min-p") and row["context"] == 1:
            row["ids"][7] = next(token for token in range(5, 300) if token != row["ids"][7])
    fresh.run("hyperfitted").continuations_file.write_text(
        "".join(json.dumps(row) + "\n" for row in rows)
    )
    lines = agreement_lines(
        compare_with_reference(fresh, "hyperfitted", 2, device="cpu")
    ).splitlines()
    assert lines[0] == "hyperfitted: 10 of 12 texts are those of reference mode"
    for line, strategy in zip(lines[1:], ("greedy", "min-p"), strict=True):
        assert line.startswith(f"  pieces, context 1, {strategy}: another token 8, margin ")
        assert float(line.split()[-1]) > 1e-4


def test_generate_prints_its_arms_and_the_comparison(fresh, capsys):
    assert main(["generate", str(fresh.folder), "--compare-reference", "1"]) == 0
    out = capsys.readouterr().out
    assert "hyperfitted: 6 of 6 texts are those of reference mode" in out
    assert (
        "strategy dry: greedy, no_repeat_ngram 6, dry (multiplier 0.8, base 1.75, allowed_tokens 2)"
        in out
    )


def test_where_a_text_ended_and_the_other_goes_on_the_margin_is_against_end_of_text(fresh, written):
    rows = [json.loads(line) for line in written.continuations_file.read_text().splitlines()]
    for row in rows:
        if row["strategy"] == "greedy" and row["context"] == 1:
            row["ids"] = row["ids"][:7]
    fresh.run("hyperfitted").continuations_file.write_text(
        "".join(json.dumps(row) + "\n" for row in rows)
    )
    line = agreement_lines(
        compare_with_reference(fresh, "hyperfitted", 2, device="cpu")
    ).splitlines()[1]
    assert line.startswith("  pieces, context 1, greedy: another token 8, margin ")
    assert float(line.split()[-1]) > 1e-4


def test_texts_stand_beside_their_ids_and_are_read_from_older_files_without(written):
    lines = written.continuations_file.read_text().splitlines()
    row = json.loads(lines[0])
    assert row["text"] == "".join(row["pieces"])
    del row["text"]
    older = Continuation(
        **{key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    )
    assert older == written.continuations()[0]
