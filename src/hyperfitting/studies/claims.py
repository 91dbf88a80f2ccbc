"""Who works on a cell: a lock file with a heartbeat, so that workers on several machines share a
folder and no cell is done twice.

Claims on a cell are numbered. The last one counts, and a new one is made by creating the file of
the next number, which the file system lets one worker do. A claim is free for the next one when it
was released, when its process is gone from this machine, or when its heartbeat has stopped.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from hyperfitting.errors import RunError
from hyperfitting.facts import Facts, read_facts, write_facts
from hyperfitting.files import make_folder

BEAT_SECONDS = 5.0
STALE_SECONDS = 60.0
"""A worker touches its claim that often; after so long without, it is taken for lost."""


class ClaimFacts(Facts):
    """claims/<cell>.<n>.json: the process that holds a cell, and its machine; or that it let go.

    Args:
        process: its number.
        machine: as `this_machine` tells it.
        begun: when the claim was made, by the clock that dates its file.
        carried: seconds that claims before it were held which ended by a kill, one after another.
        released: it let go, and has noted its seconds with the cell.
    """

    process: int | None = None
    machine: str | None = None
    begun: float | None = None
    carried: float = 0.0
    released: bool = False


@contextmanager
def claim(folder: Path, cell: str, number: int, on_taken: Callable[[], None]) -> Iterator[bool]:
    """Hold a cell by the claim of this number; False, and nothing is held, if another was faster.

    Args:
        folder: of all claims of the study.
        cell: the cell's folder name.
        number: one more than that of the last claim, which `ClaimWatch` says is free.
        on_taken: called, in another thread, if the claim is taken over while it is held: another
            worker found that this one had stopped for long.
    """
    make_folder(folder)
    file, after = _file(folder, cell, number), _file(folder, cell, number + 1)
    try:
        handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        yield False
        return
    facts = ClaimFacts(
        process=os.getpid(),
        machine=this_machine(),
        begun=os.fstat(handle).st_mtime,
        carried=seconds_of_killed(folder, cell, number),
    )
    with os.fdopen(handle, "w", encoding="utf-8") as opened:
        opened.write(facts.model_dump_json())
    ended = threading.Event()
    heart = threading.Thread(target=keep_beating, args=(file, after, ended, on_taken), daemon=True)
    heart.start()
    try:
        yield True
    finally:
        ended.set()
        heart.join()
        if not after.exists():
            write_facts(file, ClaimFacts(released=True))


def keep_beating(
    file: Path, after: Path, ended: threading.Event, on_taken: Callable[[], None]
) -> None:
    """Touch a claim's file every few seconds until it has ended, or is taken over by `after`."""
    while not ended.wait(BEAT_SECONDS):
        taken = False
        with suppress(OSError):  # a network disk may be away for a moment: another try follows
            taken = after.exists()
            if not taken:
                os.utime(file)
        if taken:
            on_taken()
            return


def seconds_of_killed(folder: Path, cell: str, number: int) -> float:
    """For how long a cell was held by those before claim `number` that were killed one after
    another, up to the last beat of each: what no attempt has noted.
    """
    file = _file(folder, cell, number - 1)
    try:
        last_beat, held = file.stat().st_mtime, read_facts(file, ClaimFacts)
    except (FileNotFoundError, RunError):
        return 0.0
    if held.released or held.begun is None:
        return 0.0
    return held.carried + max(last_beat - held.begun, 0.0)


class ClaimWatch:
    """Which cells are held, as seen from this process.

    A heartbeat is judged by whether the file changes while it is watched, not by its time: clocks
    of machines differ.
    """

    def __init__(
        self,
        folder: Path,
        *,
        stale_seconds: float = STALE_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ):
        self._folder, self._stale_seconds, self._now = folder, stale_seconds, now
        self._seen: dict[Path, tuple[int, float]] = {}
        self._last: dict[str, int] = {}

    def next_number(self, cell: str) -> int | None:
        """The number of the claim that may be made on a cell now; None while another holds it."""
        last = self._last.get(cell, 0)
        while _file(self._folder, cell, last + 1).exists():
            last += 1
        self._last[cell] = last
        return None if last and self._is_held(_file(self._folder, cell, last)) else last + 1

    def silent_seconds(self, cell: str) -> float:
        """How old the last beat of the claim on a cell is, by this machine's clock, if that is too
        old for a worker that lives; else 0.
        """
        try:
            beat = _file(self._folder, cell, self._last.get(cell, 0)).stat().st_mtime
        except FileNotFoundError:
            return 0.0
        silent = time.time() - beat
        return silent if silent > self._stale_seconds else 0.0

    def _is_held(self, file: Path) -> bool:
        try:
            beat, held = file.stat().st_mtime_ns, read_facts(file, ClaimFacts)
        except (FileNotFoundError, RunError):
            beat, held = 0, ClaimFacts()  # it is being written, or was cut off while it was
        if held.released:
            return False
        if held.process and held.machine == this_machine() and not _is_alive(held.process):
            return False
        before, since = self._seen.get(file, (None, 0.0))
        if beat != before:
            self._seen[file] = beat, self._now()
            return True
        return self._now() - since < self._stale_seconds


def _file(folder: Path, cell: str, number: int) -> Path:
    return folder / f"{cell}.{number}.json"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def this_machine() -> str:
    """What tells machines and containers apart, without naming them: process numbers of one are
    comparable.
    """
    parts = [str(os.getuid()) if hasattr(os, "getuid") else ""]
    for path in ("/proc/sys/kernel/random/boot_id", "/etc/machine-id"):
        try:
            parts.append(Path(path).read_text(encoding="utf-8").strip())
        except OSError:
            continue
    try:
        parts.append(os.readlink("/proc/self/ns/pid"))
    except OSError:
        parts.append(os.uname().nodename)
    return sha256(" ".join(parts).encode()).hexdigest()[:16]
