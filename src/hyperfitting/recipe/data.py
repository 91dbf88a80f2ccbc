"""Which texts are trained on, watched and continued: `[data]`."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hyperfitting.recipe.base import (
    ContextFormat,
    Count,
    CountOrZero,
    Name,
    PathSettings,
    Settings,
    Share,
    refuse_equal_names,
)
from hyperfitting.recipe.images import ImageSettings


class TextSource(PathSettings):
    """Where documents come from."""

    PATHS = ("path",)
    path: str = Field(
        min_length=1,
        description="A .txt, .md, .jsonl, .json, .csv, .tsv or .parquet file (also .gz, .xz, "
        ".zst), a folder of them, `asset:...`, or a hub data set. Of images: a .png, .jpg or .npz "
        "file, a folder of them, or a hub data set.",
    )
    documents: Literal["auto", "paragraph", "file", "separator"] = Field(
        "auto",
        description="What a document is in a .txt or .md file. `paragraph`: what stands between "
        "blank lines. `file`: the whole file. `separator`: what stands between two "
        "`separator`. `auto`: paragraphs of a file that is named itself; in a folder "
        "each file.",
    )
    separator: Annotated[str, Field(min_length=1)] | None = Field(
        None,
        description='The text between two documents, such as "<|endoftext|>", where `documents` '
        "says so.",
    )
    column: str = Field(
        "text",
        description="The field that holds the text (all but .txt and .md); `data.text` is the "
        "field `text` inside `data`, unless a field is called so. Of images: the array of a .npz "
        "file or the field of a data set, `image` where it is not set.",
    )
    group: str | None = Field(
        None,
        description="The field that names a document's group, such as its book: groups are never "
        "split. Of image files: `folder`, the folder that each is in.",
    )
    title: str | None = Field(
        "title", description="The field that a passage is cited by, where a document has it."
    )
    config: str | None = Field(None, description="Hub data set configuration.")
    split: str = Field("train", description="Hub data set split.")

    @model_validator(mode="after")
    def _separator_is_used(self) -> Self:
        if (self.documents == "separator") != (self.separator is not None):
            raise ValueError(
                f'{self.path}: documents = "separator" and separator = "..." (such as '
                '"<|endoftext|>") go together'
            )
        return self


class Domain(Settings):
    """One named set of contexts that the results are reported on."""

    name: Name = Field(description="The set's name in every table.")
    count: Count = Field(description="How many contexts.")
    source: TextSource | None = Field(
        None,
        description="Its own source; none: documents of `data.train` that neither training nor "
        "validation took.",
    )
    leaks: Literal["refuse", "leave-out"] = Field(
        "refuse",
        description="What becomes of a document of `source` that shares text with training or "
        "validation. `refuse`: an error names it. `leave-out`: the next one is taken in its place, "
        "and it is counted. Documents of `data.train` are always left out.",
    )


class DataSettings(Settings):
    """Which texts are trained on, watched, and continued."""

    train: TextSource = Field(description="The source of the training texts.")
    train_blocks: Count = Field(description="Training blocks drawn by seed, one a document.")
    seed: CountOrZero | None = Field(
        None,
        description="Decides which documents become training, validation and context texts; none: "
        "`seed`.",
    )
    block_tokens: Count = Field(256, description="Tokens of a block, beginning-of-text included.")
    blocks: Literal["first", "packed", "passages"] = Field(
        "first",
        description="`first`: each document's first tokens. `packed`: documents end to end "
        "(pretraining). `passages`: consecutive blocks of each document, such as a "
        "novel; validation and contexts get stretches of their own.",
    )
    chapter_pattern: str | None = Field(
        None,
        description="With `passages`, a regular expression that headings begin with, such as "
        "`Chapter [0-9IVXLC]+`: whole chapters are held out, and are the groups; "
        "none: a stretch of each document.",
    )
    validation: TextSource | None = Field(
        None, description="Its own source; none: held-out documents of `data.train`."
    )
    validation_blocks: Count = Field(
        description="Validation blocks: watched while training, never reported on."
    )
    domains: tuple[Domain, ...] = Field((), description="The sets of contexts that are reported.")
    context_tokens: Count = Field(
        32, description="Tokens of a context, beginning-of-text included."
    )
    context_format: ContextFormat = Field(
        "plain",
        description="`chat`: a context stands in the user's turn of the model's own chat template, "
        "after `chat_instruction`, and the model writes the assistant's. The template's tokens "
        "count among `context_tokens`; `check` says how many they are.",
    )
    train_format: ContextFormat = Field(
        "plain",
        description="`chat`: training and validation blocks have the form of contexts in a chat, "
        "and the training loss is that of the assistant's turn alone.",
    )
    chat_instruction: Annotated[str, Field(min_length=1)] = Field(
        "Continue this text.",
        description="What the user says before the context, in a chat; a blank line follows.",
    )
    images: ImageSettings | None = Field(
        None, description="Images in the place of texts; none: texts."
    )
    shares: tuple[Share, Share, Share] | None = Field(
        None,
        description="Shares of the groups of `data.train` for training, validation and contexts, "
        "or with `passages` of its text; none: in proportion to the documents "
        "(tokens) asked for.",
    )
    leak_words: Count = Field(
        13,
        description="A held-out text that shares a run of this many words with a training text "
        "leaks, or all of a shorter text; a character is a word in scripts without "
        "spaces.",
    )
    lost_characters: Share = Field(
        0.02,
        description="A set of which the tokenizer loses more than this share of the characters is "
        "refused.",
    )

    @property
    def holds_chats(self) -> bool:
        """Whether contexts or training blocks stand in the model's chat template."""
        return "chat" in (self.context_format, self.train_format)

    @property
    def untrained_tokens(self) -> int:
        """First tokens of a training block that the loss leaves out: the first one, which nothing
        predicts, or the user's turn of a chat.
        """
        return self.context_tokens if self.train_format == "chat" else 1

    @property
    def sources(self) -> list[TextSource]:
        """Every source that is named: of training, validation and contexts."""
        named = (self.train, self.validation, *(each.source for each in self.domains))
        return [source for source in named if source is not None]

    @model_validator(mode="after")
    def _sets_are_distinct(self) -> Self:
        names = [each.name for each in self.domains]
        refuse_equal_names(names, "sets of data.domains")
        if sum(each.source is None for each in self.domains) > 1:
            raise ValueError(
                "only one set of data.domains can be drawn from data.train: give the others a "
                "source"
            )
        if reserved := {"train", "validation"} & set(names):
            raise ValueError(
                f"{reserved.pop()!r} cannot name a set of data.domains: the tables use it"
            )
        if self.shares is not None and abs(sum(self.shares) - 1) > 1e-6:
            raise ValueError("data.shares must add up to 1")
        if self.shares is not None and (self.train.group is not None or self.blocks == "passages"):
            here = (
                True,
                self.validation is None,
                any(each.source is None for each in self.domains),
            )
            if any(wanted and not share for wanted, share in zip(here, self.shares, strict=True)):
                raise ValueError(
                    "data.shares leaves nothing for a set that is drawn from data.train"
                )
        return self

    @model_validator(mode="after")
    def _images_are_no_texts(self) -> Self:
        if self.images is None:
            return self
        asked = {
            "data.blocks": self.blocks != "first",
            "data.chapter_pattern": self.chapter_pattern is not None,
            "data.context_format": self.context_format != "plain",
            "data.train_format": self.train_format != "plain",
        }
        if named := next((name for name, is_set in asked.items() if is_set), None):
            raise ValueError(f"{named} is for texts, and data.images asks for images: leave it out")
        if self.images.mirrored and self.train_blocks % 2:
            raise ValueError(
                f"data.train_blocks = {self.train_blocks}: with data.images.mirrored each image "
                "makes two blocks, so an even number is needed"
            )
        return self

    @model_validator(mode="after")
    def _chats_are_of_single_texts(self) -> Self:
        if self.train_format == "chat" and self.blocks == "packed":
            raise ValueError('data.train_format = "chat" is not for data.blocks = "packed"')
        return self

    @model_validator(mode="after")
    def _chapters_are_of_passages(self) -> Self:
        if self.chapter_pattern is None:
            return self
        if self.blocks != "passages":
            raise ValueError('data.chapter_pattern is for data.blocks = "passages"')
        if self.train.group is not None:
            raise ValueError(
                "data.chapter_pattern and data.train.group both say what is held out: set one of "
                "them"
            )
        try:
            re.compile(self.chapter_pattern)
        except re.error as error:
            raise ValueError(
                f"data.chapter_pattern = {self.chapter_pattern!r} is not a pattern: {error}"
            ) from error
        return self
