"""What is kept with a run of its model's files and tokenizer, and stands around its chats."""

from __future__ import annotations

import json
from pathlib import Path

from transformers.utils import cached_file

from hyperfitting.files import file_hashes
from hyperfitting.models.chat import opens_turns
from hyperfitting.models.codec import TextCodec
from hyperfitting.models.gguf_files import tokenizer_in_words
from hyperfitting.models.image_codec import ImageCodec
from hyperfitting.models.locate import locate
from hyperfitting.models.plain_errors import translate_model_errors
from hyperfitting.recipe import ModelSettings
from hyperfitting.traits import ChatFrame, ModelSource, TokenizerTraits
from hyperfitting.weights import hash_model


def tokenizer_traits(
    codec: TextCodec | ImageCodec, frame: ChatFrame | None = None
) -> TokenizerTraits:
    """What the tokenizer does by itself, and the special tokens that begin or end texts or stand in
    the frame of a chat. Of an image model, its image processor, which adds no start token.
    """
    if isinstance(codec, ImageCodec):
        return TokenizerTraits(
            kind="ImageGPTImageProcessor",
            tokens=codec.rows,
            beginning="start",
            adds_beginning=False,
            opens_turns=False,
            ends=(),
            chat_template=None,
            special={"start": codec.start_ids[0]},
        )
    tokenizer = codec.tokenizer
    begin, template = tokenizer.bos_token_id, tokenizer.chat_template
    framing = [*frame.before, *frame.after] if frame is not None else []
    named = [each for each in framing if codec.is_special(each)]
    named += [*codec.end_ids, *([] if begin is None else [begin])]
    return TokenizerTraits(
        kind=type(tokenizer).__name__,
        tokens=len(tokenizer),
        beginning=tokenizer.bos_token,
        adds_beginning=begin is not None and tokenizer("a")["input_ids"][:1] == [begin],
        opens_turns=opens_turns(tokenizer),
        ends=tuple(codec.shown(codec.end_ids)),
        chat_template=template if isinstance(template, str) else None,
        special=dict(zip(codec.shown(sorted(set(named))), sorted(set(named)), strict=True)),
    )


def chat_frame(
    settings: ModelSettings, codec: TextCodec | ImageCodec, instruction: str
) -> ChatFrame:
    """What the codec of these settings puts around a context in the user's turn of a chat.

    Raises:
        ModelError: as `TextCodec.chat_frame`; it names the model.
    """
    with translate_model_errors(settings, "fill in its chat template"):
        return codec.chat_frame(instruction)


def source_of(settings: ModelSettings) -> ModelSource | None:
    """The files of a GGUF source, or of an adapter and its base; None of a folder or a hub name,
    whose weights are hashed when they are saved.
    """
    with translate_model_errors(settings, "read its files"):
        location = locate(settings)
        if location.gguf is not None:
            file = location.gguf.path
            return ModelSource(
                kind="GGUF",
                sha256=file_hashes(file.parent, [file]),
                tensor_types=location.gguf.tensor_types,
                tokenizer=tokenizer_in_words(location.gguf),
            )
        if location.base is None:
            return None
        below, place = source_of(location.base), location.base.place("source")
        folder = place or _snapshot(location.base)
        held_by_base = below.sha256 if below else hash_model(folder)
        base = {f"base/{name}": digest for name, digest in held_by_base.items()}
        return ModelSource(
            kind="adapter",
            sha256=hash_model(Path(location.source)) | base,
            tensor_types={} if below is None else below.tensor_types,
            base=location.base.source + (f" at {folder.name}" if place is None else ""),
        )


def _snapshot(settings: ModelSettings) -> Path:
    """The folder, named by its commit, in which the files of a model from the hub are kept; they
    are downloaded unless they are there.
    """
    source, options = settings.source, locate(settings).options
    config = Path(cached_file(source, "config.json", **options))
    maybe = {**options, "_raise_exceptions_for_missing_entries": False}
    if cached_file(source, "model.safetensors", **maybe) is None:
        index = cached_file(source, "model.safetensors.index.json", **options)
        names = set(json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"].values())
        _ = [cached_file(source, name, **options) for name in sorted(names)]
    return config.parent
