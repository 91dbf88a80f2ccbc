"""Codecs for tests that count tokens by hand."""

from __future__ import annotations


class WordCodec:
    """A codec of whole words with one beginning-of-text id, so that tests can count by hand."""

    fingerprint = "words"
    end_ids = (0,)

    def __init__(self):
        self.vocabulary = ["<end>"]

    def encode(self, text, *, at_most=None):
        for word in text.split():
            if word not in self.vocabulary:
                self.vocabulary.append(word)
        return [0, *(self.vocabulary.index(word) for word in text.split())]

    def decode(self, ids):
        return " ".join(self.vocabulary[i] for i in ids if i)
