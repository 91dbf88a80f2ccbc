"""The bounds on speed and memory that results/benchmarks.md claims, measured again; beside other
work they fail.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from bench import measuring, memory, time_to_loss, training
from tests.support.corpora import needs_data

pytestmark = pytest.mark.slow
CPU = torch.device("cpu")
CPU_INFO = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""


@pytest.mark.skipif(not (shutil.which("c++") or shutil.which("g++")), reason="no C++ compiler here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_a_17m_llama_trains_at_twice_the_public_loop_and_six_tenths_of_the_best_product(tmp_path):
    shape = training.architecture("17M Llama", tmp_path)
    of_best, times = training.compare_training("17M Llama", shape, CPU, rounds=4, compile_=True)
    assert times >= 2.0
    if (
        "amx_tile" not in CPU_INFO
    ):  # with it products take a sixth of the time, and what lies between them decides
        assert of_best >= 0.60


def test_a_step_at_the_vocabulary_of_llama_3_peaks_at_a_third_of_the_public_loop():
    assert memory.report_memory(CPU) <= 1 / 3


def test_scoring_keeps_pace_with_the_products_of_a_135m_model_in_4_gib():
    found = measuring.report_measuring(CPU, rounds=5)
    assert found.share >= 0.80
    assert found.gib <= 4
    if "amx_bf16" in CPU_INFO:
        assert found.times >= 2.0
    elif "avx512_bf16" in CPU_INFO:  # 1.9 was measured: its products are 2.3 times as fast at most
        assert found.times >= 1.6


@needs_data
def test_a_loss_below_a_tenth_is_reached_sooner_than_by_the_public_loop():
    assert time_to_loss.report_time_to_loss(CPU, rounds=3)["ours"] >= 1.8
