"""The benchmarks run, in small; their full counts are `make bench` and `make acceptance`."""

import re
from types import SimpleNamespace

import pytest
import torch
import transformers

from bench import busy_machine, decoding, measuring, memory, real_model, training
from hyperfitting.models.gguf_files import read_gguf
from hyperfitting.models.gguf_models import load_gguf
from hyperfitting.records import MetricRow
from tests.support.gguf_files import Q, tiny_gguf_model, write_gguf

CPU = torch.device("cpu")


@pytest.fixture
def small(monkeypatch):
    shape = {
        **training.SHAPES["17M Llama"],
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
    }
    shape |= {"num_attention_heads": 4, "num_key_value_heads": 4}
    monkeypatch.setitem(training.SHAPES, "17M Llama", shape)
    return shape


def test_ours_the_public_loop_and_trainer_take_turns(small, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(training, "TURN", 2)
    monkeypatch.setattr(training, "TOKENS", 128)
    monkeypatch.setattr(training, "PRODUCT_SIZES", (512,))
    transformers.LlamaConfig(**small).save_pretrained(tmp_path)
    of_best, times = training.compare_training("small", str(tmp_path), CPU, 1, compile_=False)
    said = [line for line in capsys.readouterr().out.splitlines() if "tokens/s" in line]
    ours, public, trainer = said
    number = r"[\d,]+"
    assert re.match(
        rf"training, small, not compiled: {number} tokens/s, {of_best:.0%} of \d+", ours
    )
    # One round follows the turn that warms up; the figures that are returned are those that are
    # printed.
    against = rf"  against %s: {number} tokens/s; %s \(from [\d.]+ to [\d.]+, 1 turns\)"
    assert re.fullmatch(against % ("the public loop", f"{times:.2f}x"), public)
    assert re.fullmatch(against % ("Trainer", r"[\d.]+x"), trainer)


def test_a_turn_is_the_median_of_its_updates(monkeypatch):
    monkeypatch.setattr(training, "TURN", 3)
    assert training.turns([1.0, 9.0, 2.0, 5.0, 4.0, 100.0]) == [2.0, 5.0]


@pytest.mark.parametrize(("tied", "body"), [(True, 60), (False, 20)])
def test_flops_of_a_token_by_hand(tied, body):
    """6 for each weight of body and head, and 12 x layers x hidden units x half the tokens for
    attention.
    """
    model = SimpleNamespace(
        config=SimpleNamespace(
            vocab_size=10, hidden_size=4, num_hidden_layers=2, tie_word_embeddings=tied
        ),
        parameters=lambda: [torch.zeros(60), torch.zeros(40)],
    )
    assert training.flops_per_token(model, tokens=8) == 6 * (body + 40) + 12 * 2 * 4 * 4


def test_memory_at_a_large_vocabulary_is_below_that_of_the_public_loop(small):
    assert memory.report_memory(CPU, vocabulary=16_384) < 0.6


def test_scoring_in_both_dtypes_and_the_products_take_turns(small, monkeypatch, capsys):
    monkeypatch.setattr(measuring, "SHAPE", small)
    monkeypatch.setattr(measuring, "TOKENS", 32)
    found = measuring.report_measuring(CPU, rounds=1)
    float32, bfloat16 = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        rf"measuring, 135M, float32: [\d,]+ tokens/s, {found.share:.0%} \(from [\d%]+ to [\d%]+\) "
        rf"of the products' \d+ GFLOP/s; {found.gib:.1f} GiB resident with two models",
        float32,
    )
    times = f"{found.times:.2f}x"
    assert re.fullmatch(
        rf"measuring, 135M, bfloat16: [\d,]+ tokens/s, {times} \(from {times} to {times}\) float32",
        bfloat16,
    )


def row(name, value, variant="original", position=None):
    return MetricRow(
        variant, "d", "s", name, value, None, None, 1, 1, "", "lower", "r", 0, position
    )


def test_the_largest_change_of_a_metric_is_told_with_its_value():
    one = [row("a", 1.0), row("a", 4.0, "hyperfitted"), row("b", 0.0), row("c", 1.0, position=96)]
    other = [row("c", 1.0, position=96), row("b", 0.0), row("a", 1.5), row("a", 3.0, "hyperfitted")]
    assert measuring.largest_changes(one, other) == {
        "a": (1.0, 4.0),
        "b": (0.0, 0.0),
        "c": (0.0, 1.0),
    }


def test_a_real_model_streams_writes_and_trains_in_turn(small, monkeypatch, capsys):
    monkeypatch.setattr(real_model, "SHAPE", small)
    monkeypatch.setattr(real_model, "SOURCE", "package:none/none.gguf")  # so that it is random
    sizes = {"CONTEXTS": 5, "BASELINE_CONTEXTS": 2, "STREAM_TOKENS": 4}
    for name, value in {**sizes, "COMPILED": (False,)}.items():  # to compile takes half a minute
        monkeypatch.setattr(real_model, name, value)
    for module in (decoding, real_model):
        monkeypatch.setattr(module, "NEW_TOKENS", 4)
    monkeypatch.setattr(training, "TURN", 2)
    monkeypatch.setattr(training, "TOKENS", 128)
    monkeypatch.setattr(training, "PRODUCT_SIZES", (512,))
    real_model.report_real_model(CPU, rounds=1)
    said = capsys.readouterr().out.splitlines()
    number, ratio = r"[\d,]+", r"[\d.]+x \(from [\d.]+ to [\d.]+, 1 (rounds|turns)\)"
    patterns = [
        r"135M: weights of \S+, random",
        r"135M, one stream, bfloat16 \(packed for few texts\): [\d.]+ tokens/s, 4 tokens after 32",
        r"135M, writing, bfloat16, 5 x 4 tokens at once \(packed for many texts\), against "
        rf"generate in float32 batches of 8: {number} / {number} tokens/s = {ratio}",
        "  against generate in bfloat16 at our own batch size: "
        rf"{number} / {number} tokens/s = {ratio}",
        rf"training, 135M, not compiled: {number} tokens/s, \d+% of \d+ GFLOP/s",
        rf"  against the public loop: {number} tokens/s; {ratio}",
    ]
    for line, pattern in zip(said, patterns, strict=True):
        assert re.fullmatch(pattern, line), line


def test_the_file_for_llama_cpp_holds_the_dequantised_weights(tmp_path, tiny_tokenizer):
    model = tiny_gguf_model("llama", len(tiny_tokenizer))
    file = write_gguf(tmp_path / "q.gguf", model, tiny_tokenizer, "llama", Q.Q8_0)
    real_model.write_f16(file, tmp_path / "f16.gguf")
    quantised, plain = (read_gguf(path) for path in (file, tmp_path / "f16.gguf"))
    assert plain.tensor_types == {"F16": 15, "F32": 5}
    assert plain.settings.keys() == quantised.settings.keys()
    one, other = (load_gguf(each, torch.float32).state_dict() for each in (quantised, plain))
    for name, weight in one.items():
        kept = weight if weight.ndim == 1 else weight.half().float()
        assert torch.equal(kept, other[name]), name


def test_updates_are_timed_alone_and_beside_a_busy_process(small, monkeypatch, capsys):
    waits = {"as OpenMP sets it": {}, "one thread": {"OMP_NUM_THREADS": "1"}}
    monkeypatch.setattr(busy_machine, "WAYS", waits)
    monkeypatch.setattr(busy_machine, "UPDATES", 5)
    monkeypatch.setattr(busy_machine, "TOKENS", 16)
    monkeypatch.setattr(
        busy_machine,
        "seconds_in_a_process",
        lambda shape, settings: busy_machine.seconds_of_an_update(shape),
    )
    busy_machine.report_busy_machine(1, "17M Llama")
    said = capsys.readouterr().out.splitlines()
    number = r"[\d,]+ ms"
    assert [
        bool(re.fullmatch(rf"17M Llama, {way}: {number} an update alone, {number} beside .*", line))
        for way, line in zip(waits, said, strict=True)
    ] == [True, True]
