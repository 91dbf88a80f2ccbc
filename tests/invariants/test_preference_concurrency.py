"""Many at once on one study, in threads and in processes, on both databases: nothing lost, doubled
or over quota.
"""

from __future__ import annotations

import itertools
import multiprocessing
import random
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from hyperfitting.errors import Refused
from hyperfitting.preference.records import Judgement
from hyperfitting.preference.store import Store, open_store
from hyperfitting.preference.study import Study
from tests.support import studies


def clumsy_work(store: Store, annotator: str, seed: int) -> list[str]:
    """Work until nothing is left, asking and sending many things twice; returns the attempts that
    were acknowledged.
    """
    random_, acknowledged = random.Random(seed), []
    while (item := store.items.next(annotator)) is not None:
        if random_.random() < 0.2:
            assert store.items.next(annotator).assignment == item.assignment
        choice = random_.choice(("first", "second", "equal"))
        for _ in range(1 + (random_.random() < 0.2)):
            store.items.submit(annotator, item.assignment, choice, f"{seed}-{item.assignment}", 3.0)
        acknowledged.append(item.assignment)
    return acknowledged


def check(rows: list[Judgement], acknowledged: list[str], study: Study) -> None:
    """Every acknowledged answer is there once, every quota is met exactly, and sides balance within
    one.
    """
    assert sorted(row.assignment for row in rows) == sorted(acknowledged)
    assert len(set(acknowledged)) == len(acknowledged)
    assert len({(row.annotator, row.comparison) for row in rows}) == len(rows)
    counts = Counter(row.comparison for row in rows if row.kind == "scored")
    assert counts == {
        row.id: study.protocol.judgements for row in study.comparisons() if row.kind == "scored"
    }
    assert not [row for row in rows if row.surplus]
    balance: Counter[str] = Counter()
    for row in rows:
        if row.kind == "scored":
            balance[row.annotator] += 1 if row.arm_second == "reference" else -1
            assert abs(balance[row.annotator]) <= 1


def test_threads_share_a_store(tmp_path, store_url):
    study = studies.study(
        tmp_path, rows=studies.comparisons(4, 4), attention_rate=0.1, repeat_rate=0.1
    )
    with open_store(study, store_url) as store:
        people = [studies.ready(store) for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            done = list(
                pool.map(lambda pair: clumsy_work(store, pair[1], pair[0]), enumerate(people))
            )
        check(store.judgements(), [each for some in done for each in some], study)


def careless_work(store: Store, annotator: str) -> list[str]:
    """Answer without reading until the rule ends it; returns what was acknowledged."""
    acknowledged = []
    with suppress(Refused):
        while (item := store.items.next(annotator)) is not None:
            store.items.submit(annotator, item.assignment, "first", item.assignment, 0.5)
            acknowledged.append(item.assignment)
    return acknowledged


def test_careless_annotators_are_replaced_beside_others_at_work(tmp_path, store_url):
    """Nothing that was acknowledged is lost, and what counts in the end are the quotas."""
    study = studies.study(tmp_path, rows=studies.comparisons(5, 0), replace_careless=True)
    with open_store(study, store_url) as store, ThreadPoolExecutor(7) as pool:
        people = [studies.ready(store) for _ in range(7)]
        jobs = [pool.submit(careless_work, store, each) for each in people[:3]]
        jobs += [pool.submit(clumsy_work, store, who, n) for n, who in enumerate(people[3:])]
        acknowledged = [each for job in jobs for each in job.result()]
        for number, who in enumerate(people[3:]):  # what came back after they had finished
            acknowledged += clumsy_work(store, who, 10 + number)
        rows = store.judgements()
        states = Counter(person.state for person in store.progress().annotators)
    assert sorted(acknowledged) == sorted(row.assignment for row in rows)
    assert states == {"excluded": 3, "finished": 4}
    assert {row.annotator for row in rows if row.replaced} == set(people[:3])
    check(
        [row for row in rows if not row.replaced],
        [row.assignment for row in rows if not row.replaced],
        study,
    )


def in_a_process(folder: Path, url: str | None, people: list[str], seed: int) -> list[str]:
    """One of several servers of the same study: its people work through it in threads."""
    with open_store(Study.find(folder), url) as store, ThreadPoolExecutor(len(people)) as pool:
        done = pool.map(lambda pair: clumsy_work(store, pair[1], seed + pair[0]), enumerate(people))
        return [each for some in done for each in some]


def side_by_side(function, jobs):
    """The results of a function in a process for each job."""
    with ProcessPoolExecutor(len(jobs), multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(function, *zip(*jobs, strict=True), timeout=300))


def in_processes(
    tmp_path: Path, url: str | None, *, contexts: int, processes: int, people_each: int
) -> None:
    rows = studies.comparisons(contexts, 4)
    study = studies.study(tmp_path, rows=rows, attention_rate=0.1, repeat_rate=0.05)
    with open_store(study, url) as store:
        people = [[studies.ready(store) for _ in range(people_each)] for _ in range(processes)]
        jobs = [(study.folder, url, some, 100 * number) for number, some in enumerate(people)]
        done = side_by_side(in_a_process, jobs)
        check(store.judgements(), [each for some in done for each in some], study)


def test_processes_share_a_database(tmp_path, store_url):
    in_processes(tmp_path, store_url, contexts=3, processes=2, people_each=3)


@pytest.mark.slow
def test_fifty_people_in_five_processes(tmp_path, store_url):
    """Five thousand judgements without a pause between them."""
    in_processes(tmp_path, store_url, contexts=417, processes=5, people_each=10)


_WORKER = """
import sys
from pathlib import Path
from hyperfitting.preference.store import open_store
from hyperfitting.preference.study import Study
folder, url, annotator, run = sys.argv[1:]
with open_store(Study.find(Path(folder)), url or None) as store:
    while (item := store.items.next(annotator)) is not None:
        store.items.submit(annotator, item.assignment, "first", f"{run}-{item.assignment}", 1.0)
        print(item.assignment, flush=True)
"""


def test_what_was_acknowledged_before_a_kill_is_there_afterwards(tmp_path, store_url):
    """Killed twice, without warning and at once after an answer; the third worker comes to the
    end.
    """
    study = studies.study(tmp_path, rows=studies.comparisons(6, 0))
    with open_store(study, store_url) as store:
        annotator = studies.ready(store)
    acknowledged = []
    for run, answers in enumerate((3, 5, 99)):
        command = [
            sys.executable,
            "-c",
            _WORKER,
            study.folder,
            store_url or "",
            annotator,
            str(run),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
            heard = list(itertools.islice(worker.stdout, answers))
            worker.kill()
            acknowledged += [line.strip() for line in (*heard, *worker.stdout)]
    with open_store(study, store_url) as store:
        given = [row.assignment for row in store.judgements()]
        assert len(given) == len(set(given)) == 24
        assert len(acknowledged) == len(set(acknowledged))
        assert set(acknowledged) <= set(given)
        assert len(given) - len(acknowledged) <= 2  # one a kill may be kept and not heard of
        assert store.progress().annotators[0].state == "finished"


def open_at_once(folder: Path, url: str | None) -> int:
    """Open a study's store, which makes its tables if they are not there."""
    with open_store(Study.find(folder), url) as store:
        return store.progress().comparisons


def test_a_store_may_be_opened_first_by_many_at_once(tmp_path, store_url):
    study = studies.study(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: open_at_once(study.folder, store_url), range(4))) == [16] * 4


def test_one_annotator_in_many_tabs_holds_one_item_and_gives_one_answer(tmp_path, store_url):
    study = studies.study(tmp_path)
    with open_store(study, store_url) as store, ThreadPoolExecutor(8) as pool:
        annotator = studies.ready(store)
        items = set(pool.map(lambda _: store.items.next(annotator), range(8)))
        assert len(items) == 1
        (item,) = items
        start = threading.Barrier(8)

        def send(number):
            start.wait(10)
            try:
                store.items.submit(annotator, item.assignment, "first", f"tab {number // 2}", 1.0)
                return "kept"
            except Refused as refused:
                return refused.reason

        answers = Counter(pool.map(send, range(8)))
        assert answers == {"kept": 2, "answered": 6}  # one tab sent it twice
        assert len(store.judgements()) == 1


def test_one_link_opened_many_times_is_one_annotator(tmp_path, store_url):
    study = studies.study(tmp_path, open_link=True, open_link_cap=3)
    with open_store(study, store_url) as store, ThreadPoolExecutor(8) as pool:
        (token,) = store.invitations.create(1)
        assert len(set(pool.map(lambda _: store.annotators.enter(token).id, range(8)))) == 1

        def join(number):
            try:
                return store.annotators.join(f"browser {number}").id
            except Refused as refused:
                return refused.reason

        joined = list(pool.map(join, range(8)))
        assert joined.count("full") == 5
        assert len(set(joined)) == 4


def test_undo_against_a_second_answer_leaves_one(tmp_path, store_url):
    study = studies.study(tmp_path)
    with open_store(study, store_url) as store, ThreadPoolExecutor(2) as pool:
        for number in range(4):
            annotator = studies.ready(store)
            item = store.items.next(annotator)
            studies.answer(store, annotator, item)
            start = threading.Barrier(2)

            def either(what, start=start, annotator=annotator, item=item, number=number):
                start.wait(10)
                try:
                    if what == "undo":
                        store.items.undo(annotator)
                    else:
                        store.items.submit(
                            annotator, item.assignment, "second", f"again {number}", 1.0
                        )
                except Refused:
                    pass

            list(pool.map(either, ("undo", "judge")))
            rows = [row for row in store.judgements() if row.annotator == annotator]
            assert len(rows) <= 1
