"""The benchmarks run, in small; their full counts are `make bench` and `make acceptance`."""

import pytest
import torch
import transformers

from bench import memory, training

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
    transformers.LlamaConfig(**small).save_pretrained(tmp_path)
    of_best, times = training.compare("small", str(tmp_path), CPU, 1, compile_=False)
    assert 0 < of_best < 1
    assert 0.05 < times < 50
    said = capsys.readouterr().out
    assert "against the public loop" in said
    assert "against Trainer" in said


def test_memory_at_a_large_vocabulary_is_below_that_of_the_public_loop(small):
    assert memory.report(CPU, vocabulary=16_384) < 0.6
