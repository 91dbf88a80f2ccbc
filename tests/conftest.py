"""How tests run, and the tiny models and corpora that they share: made on the fly, with no network
and no shared data, in seconds.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.longest_first import LONGEST_FIRST
from tests.support.postgresql import new_database
from tests.support.recipes import tiny_tree
from tests.support.tiny_models import make_model
from tests.support.tokenizers import byte_level
from tests.support.words import write_corpus

# Where an image forbids to keep compiled modules, every process compiles all of them anew: with
# them kept, a process collects the tests in 12 CPU-seconds instead of 21.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # the models are tiny, and other work may share the machine
os.fsync = lambda handle: None  # no test takes the power away, and each call waits for the disk
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
_LEFT = tempfile.TemporaryDirectory(prefix="left-by-libraries-")
for _name in ("HF_MODULES_CACHE", "TRACKIO_DIR"):  # code of models made here; what is tracked
    os.environ.setdefault(_name, tempfile.mkdtemp(dir=_LEFT.name))

_MEMORY_DISK = Path("/dev/shm")
_NEEDED_BYTES = 2 * 2**30  # five times what the default tests leave behind


def pytest_configure(config: pytest.Config) -> None:
    """The default tests write their folders to memory where there is room: they make and delete
    some hundred thousand files, and a disk can take a millisecond for each.
    """
    gc.disable()  # until everything is imported: a quarter of the time that collecting takes
    slow = "not slow" not in config.getoption("markexpr")
    if slow or not _MEMORY_DISK.is_dir() or not os.access(_MEMORY_DISK, os.W_OK):
        return
    room = os.statvfs(_MEMORY_DISK)
    runs_programs = not room.f_flag & os.ST_NOEXEC
    if runs_programs and room.f_bavail * room.f_frsize >= _NEEDED_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY_DISK))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take longest come first: a core that begins one of them last would leave the
    others idle.
    """
    place = {file: number for number, file in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(item.nodeid.partition("::")[0], len(place)))


def pytest_collection_finish() -> None:
    """What has been imported by now stays: the collector need not look through it again and again,
    which took a tenth of the time of tests that make experiments.
    """
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Any:
    return byte_level()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Any) -> Path:
    """A random Llama of 30,000 parameters in an ordinary Hugging Face folder."""
    return make_model(tmp_path_factory.mktemp("models") / "tiny-llama", tiny_tokenizer)


@pytest.fixture
def model_copy(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return shutil.copytree(tiny_model, tmp_path / "model")


@pytest.fixture(scope="session")
def codec(tiny_tokenizer: Any) -> Any:
    """The tiny tokenizer as texts are encoded by it."""
    from hyperfitting.models import TextCodec

    return TextCodec(tiny_tokenizer, [0], beginning_of_text="add")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty documents of 60 words."""
    return write_corpus(tmp_path_factory.mktemp("corpus") / "pieces.jsonl", documents=60, words=60)


@pytest.fixture
def tree(tiny_model: Path, corpus: Path) -> dict[str, Any]:
    return tiny_tree(tiny_model, corpus)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, corpus: Path) -> Any:
    """One tiny experiment taken from data to report, shared by every test that only looks."""
    from hyperfitting import pipeline
    from hyperfitting.recipe import parse_recipe
    from tests.support.pictures import pictures

    recipe = parse_recipe(tiny_tree(tiny_model, corpus), source="test")
    with pictures(drawn=True):
        return pipeline.run(recipe, tmp_path_factory.mktemp("experiment") / "tiny", device="cpu")


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str | None:
    """Of the store of a preference study: None for SQLite, else on a PostgreSQL server."""
    return new_database() if request.param == "postgresql" else None
