"""A claim is held while its worker lives and its heart beats, and the next one can be made by one
worker only.
"""

import json
import os
import subprocess
import sys
import threading

import pytest

from hyperfitting.studies.claims import (
    ClaimWatch,
    claim,
    keep_beating,
    seconds_of_killed,
    this_machine,
)


def nothing():
    pass


@pytest.fixture
def watch(tmp_path):
    """A watch whose clock is set by hand: `watch.time[0]`."""
    time = [0.0]
    watch = ClaimWatch(tmp_path, stale_seconds=60, now=lambda: time[0])
    watch.time = time
    return watch


def written(tmp_path, name, **held):
    (tmp_path / name).write_text(json.dumps(held))


def test_a_cell_is_held_until_its_claim_is_released(tmp_path, watch):
    assert watch.next_number("cell") == 1
    with claim(tmp_path, "cell", 1, nothing) as held:
        assert held
        assert watch.next_number("cell") is None
        assert watch.next_number("another") == 1
        with claim(tmp_path, "cell", 1, nothing) as second:
            assert not second
    assert watch.next_number("cell") == 2
    with claim(tmp_path, "cell", 1, nothing) as late:  # judged free before the first was made
        assert not late


def test_a_claim_of_a_process_that_is_gone_is_free_at_once(tmp_path, watch):
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    written(tmp_path, "cell.1.json", process=int(gone.stdout), machine=this_machine())
    assert watch.next_number("cell") == 2
    written(tmp_path, "cell.1.json", process=os.getpid(), machine=this_machine())
    assert watch.next_number("cell") is None


def test_a_claim_of_another_machine_is_free_when_its_heart_has_stopped(tmp_path, watch):
    """Whatever its clock says."""
    written(tmp_path, "cell.1.json", process=1, machine="another")
    os.utime(tmp_path / "cell.1.json", (0, 0))
    assert watch.next_number("cell") is None
    watch.time[0] = 59
    assert watch.next_number("cell") is None
    os.utime(tmp_path / "cell.1.json", (5, 5))
    watch.time[0] = 61
    assert watch.next_number("cell") is None
    watch.time[0] = 122
    assert watch.next_number("cell") == 2


def test_a_claim_that_was_cut_off_is_free_when_it_has_aged(tmp_path, watch):
    (tmp_path / "cell.1.json").write_text('{"proc')
    assert watch.next_number("cell") is None
    watch.time[0] = 61
    assert watch.next_number("cell") == 2


def test_claims_are_numbered_beyond_nine(tmp_path, watch):
    for number in range(1, 11):
        written(tmp_path, f"cell.{number}.json", released=True)
    assert watch.next_number("cell") == 11


def test_a_claim_that_was_taken_over_is_left_to_the_other(tmp_path, watch):
    with claim(tmp_path, "cell", 1, nothing):
        written(tmp_path, "cell.2.json", process=os.getpid(), machine=this_machine())
    assert not json.loads((tmp_path / "cell.1.json").read_text())["released"]
    assert watch.next_number("cell") is None


def test_what_killed_workers_took_is_known_from_their_claims(tmp_path):
    """From the claim to its last beat, however long it lay idle, and each kill once."""
    written(tmp_path, "cell.1.json", process=1, machine="another", begun=1000.0)
    os.utime(tmp_path / "cell.1.json", (1090, 1090))
    assert seconds_of_killed(tmp_path, "cell", 2) == 90
    with claim(tmp_path, "cell", 2, nothing):
        held = json.loads((tmp_path / "cell.2.json").read_text())
        assert held["carried"] == 90
        os.utime(tmp_path / "cell.2.json", (held["begun"] + 10, held["begun"] + 10))
        assert seconds_of_killed(tmp_path, "cell", 3) == pytest.approx(100)
    assert seconds_of_killed(tmp_path, "cell", 3) == 0  # it has noted them
    written(tmp_path, "cell.3.json", process=1, machine="another")  # of a former version
    assert [seconds_of_killed(tmp_path, "cell", each) for each in (1, 4, 5)] == [0, 0, 0]


def test_a_claim_without_a_beat_for_long_is_silent(tmp_path, watch):
    written(tmp_path, "cell.1.json", process=1, machine="another")
    assert watch.next_number("cell") is None
    assert watch.silent_seconds("cell") == 0
    os.utime(tmp_path / "cell.1.json", (0, 0))
    assert watch.silent_seconds("cell") > 1e9
    assert watch.silent_seconds("another") == 0


class Beats(threading.Event):
    """In the place of the end of a claim: what happens before each beat of its heart."""

    def __init__(self, *steps):
        super().__init__()
        self.steps = list(steps)

    def wait(self, timeout=None):
        if not self.steps:
            return True
        self.steps.pop(0)()
        return False


def test_a_beat_that_fails_is_not_the_last(tmp_path):
    """A disk of the network may be away for a moment: here the claim's file is, at two beats."""
    file, after, taken = tmp_path / "cell.1.json", tmp_path / "cell.2.json", []

    def there_again():
        written(tmp_path, file.name)
        os.utime(file, (0, 0))

    def taken_over():
        assert file.stat().st_mtime > 0
        written(tmp_path, after.name)

    heart = Beats(nothing, nothing, there_again, taken_over, nothing)
    keep_beating(file, after, heart, lambda: taken.append(True))
    assert (taken, len(heart.steps)) == ([True], 1)
