"""Tokenizers of the kinds that users bring, trained on the test words in a moment."""

from __future__ import annotations

import random
from typing import Any

from tests.support.words import WORDS, sentence

POLICIES = ("add", "none")


def _texts() -> list[str]:
    random_ = random.Random(1)
    return [sentence(random_, 50) for _ in range(50)] + [
        "It was late, and the rain had not stopped."
    ]


def byte_level() -> Any:
    """GPT-2-like: byte-level BPE with one token for the beginning and the end of a text; no
    post-processor, nothing is added.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    random_ = random.Random(1)
    raw.train_from_iterator((sentence(random_, 50) for _ in range(50)), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<|end|>", eos_token="<|end|>", pad_token="<|end|>"
    )


def metaspace() -> Any:
    """Llama-2-like: ▁ for spaces, one put before the text and dropped when decoding, <s> added by
    its own template.
    """
    return _metaspace("<s> $A")


def metaspace_both_ends() -> Any:
    """As a tokenizer for translation: <s> before and </s> behind every text."""
    return _metaspace("<s> $A </s>")


def _metaspace(template: str) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    raw.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    steps = [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    raw.decoder = decoders.Sequence(steps)
    trainer = trainers.BpeTrainer(
        vocab_size=200, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False
    )
    raw.train_from_iterator(_texts(), trainer)
    raw.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def word_piece() -> Any:
    """BERT-like: lower case, ## for what goes on, [CLS] and [SEP] around every text, spaces tidied
    when decoding.
    """
    from tokenizers import (
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    raw.normalizer = normalizers.BertNormalizer(lowercase=True)
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    raw.decoder = decoders.WordPiece(cleanup=False)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    raw.train_from_iterator(
        [*_texts(), *WORDS],
        trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False),
    )
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="[CLS]",
        eos_token="[SEP]",
        pad_token="[PAD]",
        unk_token="[UNK]",
        clean_up_tokenization_spaces=True,
    )


KINDS = {each.__name__: each for each in (byte_level, metaspace, metaspace_both_ends, word_piece)}


def unigram():
    """As sentencepiece makes them: the special tokens are pieces of the vocabulary, and can be the
    likeliest ones.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = [
        ("<unk>", 0.0),
        ("<s>", 0.0),
        ("</s>", 0.0),
        *((each, -3.0) for each in "▁abcdefghilnorstuvwxy</>"),
    ]
    raw = Tokenizer(models.Unigram(pieces, unk_id=0))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
