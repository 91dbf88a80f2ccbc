"""Every way in which hyperfitting refuses, each with one line for the user and an exit code.

HyperfittingError          1  something went wrong that the input does not explain
├── InputError             2  what the user gave cannot be used; the message names it and the remedy
│   ├── RecipeError           a key, a type or a range
│   ├── DataError             a file, a column, a row, or a split that leaks
│   ├── ModelError            a folder, a repository, a weight file or a tokenizer
│   ├── RunError              a folder that holds something else, or nothing yet
│   ├── StudyError            a preference study's folder, protocol, database or file of judgements
│   ├── Refused               what an annotator may not do, or not now; `reason` says why in a word
│   └── MissingExtra          an optional part that is not installed
├── TrainingFailed         1  the loss is no longer a number or diverges, or the steps are lost
├── OutOfMemory            1  the device is too small for the settings
├── DiskFull               1  nothing more can be written
├── ProcessLost            1  another of the processes that share the work has ended
└── Interrupted          130  stopped on request; the same command goes on
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal


class HyperfittingError(Exception):
    """Anything that this project raises on purpose. `str(error)` is one line, fit to print as it
    is.

    Examples:
        >>> try:
        ...     hyperfitting.run(hyperfitting.load_recipe("mine.toml"), "mine.toml")
        ... except hyperfitting.HyperfittingError as error:
        ...     print(error)
        mine.toml is a file, and a folder is needed there: choose another --out
    """

    exit_code = 1


class InputError(HyperfittingError):
    """What the user gave cannot be used.

    Examples:
        >>> try:
        ...     hyperfitting.load_recipe("demo", {"train.epoch": 3})
        ... except hyperfitting.InputError as error:
        ...     print(str(error).partition(": ")[2])
        train.epoch is not a setting; did you mean train.epochs?
    """

    exit_code = 2


class RecipeError(InputError):
    """A setting is unknown, of the wrong type, out of range, or at odds with another."""


class DataError(InputError):
    """A text source cannot be read, is too small, or leaks."""


class ModelError(InputError):
    """A model or tokenizer cannot be loaded as it is."""


class RunError(InputError):
    """A run folder is missing, unfinished, or belongs to another recipe."""


class StudyError(InputError):
    """A preference study's folder, protocol, database or file of judgements cannot be used as it
    is.
    """


class Refused(InputError):
    """What an annotator may not do, or not now. `reason` is one word for programs."""

    def __init__(self, reason: "Reason"):
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        """One line for whoever is refused."""
        return _REASONS[self.reason]


Reason = Literal[
    "unknown",
    "expired",
    "revoked",
    "paused",
    "full",
    "failed",
    "excluded",
    "withdrawn",
    "unready",
    "not_theirs",
    "answered",
    "no_undo",
]
_REASONS: dict[Reason, str] = {
    "unknown": "this link is not known: ask whoever sent it for another",
    "expired": "this link has expired: ask whoever sent it for another",
    "revoked": "this link is no longer valid: ask whoever sent it",
    "paused": "the study is paused: come back later with the same link",
    "full": "the study has all the answers that it needs",
    "failed": "the test was not passed, and no attempt is left",
    "excluded": "the study has ended for this annotator",
    "withdrawn": "this annotator has withdrawn",
    "unready": "consent and the test come first",
    "not_theirs": "this item was not given to this annotator",
    "answered": "this item has been answered already",
    "no_undo": "there is no answer to take back: only the last one can be, and only once",
}


class MissingExtra(InputError):
    """An optional part is not installed."""

    def __init__(self, package: str, extra: str):
        super().__init__(
            f"this needs {package}, which is not installed: pip install 'hyperfitting[{extra}]'"
        )


_EXTRAS = {
    "torch": "models",
    "transformers": "models",
    "peft": "lora",
    "gguf": "gguf",
    "accelerate": "gguf",
    "datasets": "hub",
    "pyarrow": "hub",
    "backports": "zst",
    "jinja2": "report",
    "matplotlib": "report",
    "sacrebleu": "measures",
    "lm_eval": "downstream",
    "sqlalchemy": "preference",
    "fastapi": "preference",
    "uvicorn": "preference",
    "scipy": "preference",
    "regex": "preference",
    "psycopg": "postgresql",
    "PIL": "images",
    "sklearn": "images",
    "ray": "ray",
    "submitit": "slurm",
    "tensorboard": "tensorboard",
    "trackio": "trackio",
    "wandb": "wandb",
}


def name_the_extra(error: ModuleNotFoundError) -> MissingExtra | ModuleNotFoundError:
    """The error to raise for a failed import: how to install what is missing, if an extra of ours
    holds it.
    """
    package = (error.name or "").split(".")[0]
    return MissingExtra(package, _EXTRAS[package]) if package in _EXTRAS else error


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it was raised from, or raised while handling, each once."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def kind_of(error: BaseException) -> str:
    """What to say of a library's error, whose own words are for programmers: its class, and how to
    see the rest.
    """
    return f"{type(error).__name__}; HYPERFIT_DEBUG=1 shows all of it"


class TrainingFailed(HyperfittingError):
    """The loss is NaN, infinite or diverging, or the steps do not reach the weights."""


class OutOfMemory(HyperfittingError):
    """The device has too little memory."""

    def __init__(self, remedy: str = "") -> None:
        remedy = remedy or (
            "`hyperfit plan` says what fits; go on with --set engine.micro_batch_blocks=1 or "
            "--set engine.activation_checkpointing=true, which change no result; what a "
            "checkpoint holds is kept"
        )
        super().__init__(f"the device is out of memory: {remedy}")


_FULL_MEMORY_WORDS = (
    "DefaultCPUAllocator",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "MPS backend out of memory",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a memory is full: Python's own, or one of torch's, which is not
    imported for it.
    """
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(words in str(error) for words in _FULL_MEMORY_WORDS)
    )


def is_disk_full(error: BaseException) -> bool:
    """Whether an error says that a disk, or the user's share of it, is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def plain_out_of_memory(remedy: str) -> Iterator[None]:
    """Turn a full memory into `OutOfMemory` with this remedy."""
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise OutOfMemory(remedy) from error
        raise


class DiskFull(HyperfittingError):
    """The disk has too little space."""

    def __init__(self) -> None:
        super().__init__(
            "no space left on the disk: free some, and the same command goes on from the last "
            "checkpoint"
        )


class ProcessLost(HyperfittingError):
    """One of torchrun's processes has ended, and the others cannot go on alone."""

    def __init__(self, seen: str) -> None:
        super().__init__(
            f"another process of this training has ended; what it printed says why ({seen})"
        )


class Interrupted(HyperfittingError):
    """Stopped by Ctrl-C, with everything needed to go on written to disk."""

    exit_code = 130
