"""The door to transformers: load at a named dtype, tell what was loaded, decode with a cache, save.

Shapes: B texts, T tokens, V vocabulary.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
import transformers
from torch import Tensor, nn

from hyperfitting.assets import local_path
from hyperfitting.errors import InputError, ModelError
from hyperfitting.metrics.sharpness import TokenScores, token_scores
from hyperfitting.recipe import ModelSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

Precision = Literal["fp32", "bf16-autocast"]

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class TextCodec:
    """A tokenizer with one policy for beginning-of-text, the same for every text of an experiment."""

    def __init__(self, tokenizer: Any, end_ids: Sequence[int], *, beginning_of_text: Literal["add", "none"]):
        if not end_ids:
            raise ModelError("the tokenizer has no end-of-text token: set eos_token in its tokenizer_config.json")
        if beginning_of_text == "add" and tokenizer.bos_token_id is None:
            raise ModelError('the tokenizer has no beginning-of-text token: set model.beginning_of_text = "none"')
        self.tokenizer = tokenizer
        self._start = [int(tokenizer.bos_token_id)] if beginning_of_text == "add" else []
        self._end_ids = tuple(sorted(set(end_ids)))

    @property
    def end_ids(self) -> tuple[int, ...]:
        """Ids that end a text, from the tokenizer and from the model's configs."""
        return self._end_ids

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the tokenizer's rules and of the beginning-of-text policy."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        rules = backend.to_str() if backend is not None else json.dumps(self.tokenizer.get_vocab(), sort_keys=True)
        return hashlib.sha256(f"{self._start}{rules}".encode()).hexdigest()

    def encode(self, text: str, *, at_most: int | None = None) -> list[int]:
        """Ids of `text` behind the beginning-of-text token, if the policy adds it; at least `at_most` exact ones.

        A novel is not tokenised whole for its first 256 tokens: a prefix that yields twice as many as needed is enough,
        since a token depends on the text around it only.
        """
        if at_most is not None and len(text) > 16 * at_most:
            ids = self._encode(text[: 16 * at_most])
            if len(ids) >= 2 * at_most:
                return [*self._start, *ids]
        return [*self._start, *self._encode(text)]

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids` without special tokens, white space as it is."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """One string a token, in step with the text: a character that spans tokens goes to its last one."""
        pieces, start, done = [], 0, 0
        for end in range(1, len(ids) + 1):
            # A window that begins one token early is enough for tokenizers that drop a leading space, and is linear.
            shown, text = self.decode(ids[start:done]), self.decode(ids[start:end])
            complete = not text.endswith("\N{REPLACEMENT CHARACTER}") or end == len(ids)
            pieces.append(text[len(shown) :] if complete else "")
            if complete:
                start, done = done, end
        return pieces


def resolve_device(name: str) -> torch.device:
    """`auto` is the accelerator where there is one, else the CPU.

    Raises:
        InputError: if the device is unknown or absent.
    """
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {name}: not available here (use auto, cpu, cuda or cuda:1)") from error
    return device


def resolve_precision(name: str, device: torch.device) -> Precision:
    """`auto` is bf16-autocast on CUDA and CPUs with bf16 instructions, else fp32, since emulation is slower."""
    if name != "auto":
        return "bf16-autocast" if name == "bf16-autocast" else "fp32"
    if device.type == "cuda":
        return "bf16-autocast" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    gains = device.type == "cpu" and getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    return "bf16-autocast" if gains else "fp32"


def describe_device(device: torch.device) -> str:
    """The device in words, as kept with a run."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def device_of(model: nn.Module) -> torch.device:
    """Where a model's weights are."""
    return next(model.parameters()).device


def thread_count() -> int:
    """Threads that torch computes with on the CPU."""
    return torch.get_num_threads()


def autocast(precision: Precision, device: torch.device) -> Any:
    """The context in which a forward pass of this precision runs; weights stay as they are."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16-autocast" else nullcontext()


def load_codec(settings: ModelSettings) -> TextCodec:
    """The tokenizer of a model, without its weights.

    Raises:
        ModelError: if there is none, or it lacks the tokens that the policy needs.
    """
    with _plain_errors(settings):
        place = _place(settings)
        tokenizer = transformers.AutoTokenizer.from_pretrained(place["source"], **place["options"])
        config = load_config(settings)
    declared = [tokenizer.eos_token_id, getattr(config, "eos_token_id", None)]
    end_ids = [i for each in declared for i in (each if isinstance(each, list) else [each]) if i is not None]
    with _plain_errors(settings):
        return TextCodec(
            tokenizer,
            end_ids if tokenizer.eos_token_id is not None else [],
            beginning_of_text=settings.beginning_of_text,
        )


def load_config(settings: ModelSettings) -> Any:
    """The model's config.json as transformers reads it.

    Raises:
        ModelError: if there is none.
    """
    with _plain_errors(settings):
        place = _place(settings)
        return transformers.AutoConfig.from_pretrained(place["source"], **place["options"])


def check_length(settings: ModelSettings, tokens: int) -> None:
    """Refuse texts longer than the model was built for: beyond its positions nothing it says means anything.

    Raises:
        ModelError: names both lengths.
    """
    config = load_config(settings)
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    if positions is not None and tokens > positions:
        raise ModelError(
            f"{settings.source}: the recipe's texts have {tokens} tokens, the model has {positions} positions: "
            "lower data.block_tokens, or data.context_tokens and generate.new_tokens"
        )


def count_parameters(settings: ModelSettings) -> int:
    """Parameters of the architecture, counted without loading or allocating a weight."""
    with _plain_errors(settings), torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(
            load_config(settings), trust_remote_code=settings.trust_remote_code
        )
    return sum(each.numel() for each in model.parameters())


def load_model(settings: ModelSettings, device: torch.device, *, seed: int = 0) -> nn.Module:
    """The causal language model, in the dtype that the settings name, in evaluation mode.

    Raises:
        ModelError: if it is missing, gated, pickled, damaged, or lacks weights.
    """
    dtype = _DTYPES[settings.dtype]
    with _plain_errors(settings):
        if settings.initialise == "random":
            torch.manual_seed(seed)
            model = transformers.AutoModelForCausalLM.from_config(
                load_config(settings), dtype=dtype, trust_remote_code=settings.trust_remote_code
            )
        else:
            place = _place(settings)
            model, report = transformers.AutoModelForCausalLM.from_pretrained(
                place["source"], dtype=dtype, use_safetensors=True, output_loading_info=True, **place["options"]
            )
            if report["missing_keys"] or report["mismatched_keys"]:
                absent = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
                raise ModelError(f"{settings.source}: weights are missing or of another shape: {absent[0]}")
    wrong = [name for name, weight in model.named_parameters() if weight.dtype != dtype]
    if wrong:
        raise ModelError(f"{settings.source}: {wrong[0]} was not loaded as {settings.dtype}")
    return model.to(device).eval()  # type: ignore[no-any-return]


def _place(settings: ModelSettings) -> dict[str, Any]:
    """Where from_pretrained looks: a folder that was checked here, or a hub name."""
    path = local_path(settings.source)
    options = {"trust_remote_code": settings.trust_remote_code, "local_files_only": path is not None}
    if path is None:
        return {"source": settings.source, "options": {**options, "revision": settings.revision}}
    if not path.is_dir():
        raise ModelError(
            f"{settings.source}: no such model folder"
            if not path.exists()
            else f"{settings.source} is a file, not a model folder"
        )
    if not (path / "config.json").is_file():
        raise ModelError(f"{settings.source}: not a model folder: it has no config.json")
    if not any(path.glob("*.safetensors")) and settings.initialise == "pretrained":
        pickled = [*path.glob("*.bin"), *path.glob("*.pt"), *path.glob("*.pth")]
        remedy = (
            "pickled weights can run code and are not read: convert them to safetensors"
            if pickled
            else "it has no *.safetensors"
        )
        raise ModelError(f"{settings.source}: {remedy}")
    return {"source": str(path), "options": options}


@contextmanager
def _plain_errors(settings: ModelSettings) -> Iterator[None]:
    """Whatever goes wrong inside transformers, in one line that names the model and the remedy."""
    name = settings.source
    try:
        yield
    except ModelError as error:
        raise error if name in str(error) else ModelError(f"{name}: {error}") from error
    except InputError:
        raise
    except Exception as error:
        raise ModelError(f"{name}: {_explain(error, name)}") from error


def _explain(error: Exception, name: str) -> str:
    text = " ".join(str(error).split())
    kinds = " ".join(type(each).__name__ for each in _chain(error))
    if "GatedRepo" in kinds or "gated repo" in text:
        return "the repository is gated: accept its terms on the hub and log in with `hf auth login`"
    if "RepositoryNotFound" in kinds or "RevisionNotFound" in kinds:
        return "no such folder here, and no such repository or revision on the hub"
    if "OfflineMode" in kinds or "LocalEntryNotFound" in kinds or "Connect" in kinds or "couldn't connect" in text:
        return "no such folder here, and the hub cannot be reached: check the name, or download the model first"
    if "SafetensorError" in kinds:
        return f"the weight file is damaged ({text[:80]}): download it again"
    if "trust_remote_code" in text:
        return "the model comes with its own Python code: read it, then set model.trust_remote_code = true"
    if "does not appear to have a file named" in text and "safetensors" in text:
        return "it has no safetensors weights; pickled weights can run code and are not read"
    return text[:200] or type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def save_model(model: nn.Module, codec: TextCodec, folder: Path, *, card: str) -> None:
    """Write an ordinary Hugging Face folder: safetensors in the weights' dtype, tokenizer, model card."""
    model.save_pretrained(folder)  # type: ignore[operator]
    codec.tokenizer.save_pretrained(folder)
    (folder / "README.md").write_text(card, encoding="utf-8")


class CachedModel:
    """A causal model behind the `NextToken` protocol, with transformers' key-value cache in the model's precision."""

    def __init__(self, model: nn.Module, precision: Precision = "fp32"):
        self._model = model
        self._device = device_of(model)
        self._precision: Precision = precision
        self._cache: Any = None

    def start(self, context_BT: Tensor) -> Tensor:
        """Read the contexts into a fresh cache; logits (B, V), float32."""
        self._cache = None
        return self._step(context_BT)

    def extend(self, ids_B: Tensor) -> Tensor:
        """Append one token a text; logits (B, V), float32."""
        return self._step(ids_B.unsqueeze(-1))

    @torch.inference_mode()
    def _step(self, ids_BT: Tensor) -> Tensor:
        with autocast(self._precision, self._device):
            output = self._model(ids_BT.to(self._device), past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        self._cache = output.past_key_values
        logits_BV: Tensor = output.logits[:, -1].float()
        return logits_BV


@torch.inference_mode()
def score_texts(
    model: nn.Module, ids_NT: NDArray[Any] | Tensor, *, batch_blocks: int, precision: Precision = "fp32"
) -> TokenScores:
    """Score every token but the first of equally long texts; tensors of shape (N, T - 1) on the CPU, float32."""
    device = device_of(model)
    parts = []
    for ids_BT in torch.split(torch.as_tensor(ids_NT), batch_blocks):
        batch_BT = ids_BT.long().to(device)
        with autocast(precision, device):
            logits_BTV = model(batch_BT, use_cache=False).logits
        parts.append(token_scores(logits_BTV, batch_BT))
    fields = ("loss", "entropy", "top1", "top3", "top5")
    return TokenScores(*(torch.cat([getattr(part, field).cpu() for part in parts]) for field in fields))


def quiet_library_logs() -> None:
    """Keep libraries' notices off a command line that has its own."""
    for name in ("transformers", "huggingface_hub", "torch"):
        logging.getLogger(name).setLevel(logging.ERROR)
