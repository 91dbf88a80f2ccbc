"""Many annotators at once over HTTP, and a server that is killed under them; what they were told is
kept for a check.

A bare HTTP client on asyncio streams: fifty of them must not take the time that the server needs on
the same machine.
"""

from __future__ import annotations

import asyncio
import html
import random
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from hyperfitting.preference.store import open_store
from hyperfitting.preference.study import Study
from tests.support import studies
from tests.support.serving import Server
from tests.support.visitors import RIGHT

_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')
ANSWERS = ("first", "second", "equal")


@dataclass
class Report:
    """What the clients saw. Seconds; `served` holds attempts that were answered, by kind of
    request.
    """

    served: dict[str, list[float]] = field(default_factory=lambda: {"show": [], "judge": []})
    acknowledged: dict[str, str] = field(
        default_factory=dict
    )  # assignment -> answer, those taken back left out
    taken_back: int = 0
    broken: int = 0  # attempts that a kill cut off, or that found nobody
    longest_wait: float = 0.0  # until an answer, over all its attempts
    kills: int = 0
    seconds: float = 0.0

    def in_words(self) -> str:
        """One line to print."""
        both = sorted(self.served["show"] + self.served["judge"])
        parts = [
            f"{name} {_figures(values)}" for name, values in (*self.served.items(), ("all", both))
        ]
        return (
            f"{len(self.acknowledged)} judgements in {self.seconds:.0f} s, {self.taken_back} taken "
            f"back, {self.kills} kills, {self.broken} attempts cut off, longest wait across a kill "
            f"{self.longest_wait:.1f} s; milliseconds: " + "; ".join(parts)
        )

    def milliseconds(self, share: float) -> float:
        """A quantile over all requests of the judging, as the clients saw them."""
        both = sorted(self.served["show"] + self.served["judge"])
        return 1000 * both[min(len(both) - 1, int(share * len(both)))]


def _figures(values: list[float]) -> str:
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return (
        f"median {1000 * statistics.median(ordered):.1f}, p99 {1000 * p99:.1f}, most "
        f"{1000 * ordered[-1]:.1f}"
    )


class Client:
    """One annotator's browser: a connection that is kept, a cookie, the last page."""

    def __init__(
        self, server: Server, report: Report, seed: int, think: Callable[[random.Random], float]
    ):
        self.server, self.report, self.think = server, report, think
        self.random, self.cookie, self.page = random.Random(seed), "", ""
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def work(self, token: str) -> None:
        """From the link to the last page."""
        await self.go("GET", f"/i/{token}")
        await self.go("POST", "/consent", agree="yes")
        await self.go("POST", "/test", **RIGHT)
        while 'name="assignment"' in self.page:
            await asyncio.sleep(self.think(self.random))
            await self.judge()
            if self.random.random() < 0.02 and 'action="/undo"' in self.page:
                await self.take_back()
        assert "Your completion code" in self.page, self.page

    async def judge(self) -> None:
        answer, fields = self.random.choice(ANSWERS), self.fields()
        await self.go("POST", "/judge", **{**fields, "answer": answer})
        self.report.acknowledged[fields["assignment"]] = answer
        self.last = fields["assignment"]

    async def take_back(self) -> None:
        await self.go(
            "POST", "/undo", allowed=(200, 409)
        )  # 409: a kill cut off the answer to the first attempt
        if 'name="assignment"' not in self.page:
            await self.go("GET", "/judge")
        assert self.fields()["assignment"] == self.last
        del self.report.acknowledged[self.last]
        self.report.taken_back += 1

    def fields(self) -> dict[str, str]:
        """The hidden fields of the page, as if it had been read for a second."""
        fields = {name: html.unescape(value) for name, value in _HIDDEN.findall(self.page)}
        return fields | {"shown": str(int(fields.get("shown", 1000)) - 1000)}

    async def go(
        self, method: str, path: str, allowed: tuple[int, ...] = (200,), **data: str
    ) -> None:
        """Ask until there is an answer, follow it, and keep the page."""
        body = urlencode({**self.fields(), **data}) if method == "POST" else ""
        status, headers, page = await self.ask(method, path, body)
        while status == 303:
            path = headers["location"]
            status, headers, page = await self.ask("GET", path, "")
        assert status in allowed, (method, path, status, page)
        self.page = page

    async def ask(self, method: str, path: str, body: str) -> tuple[int, dict[str, str], str]:
        begun = time.perf_counter()
        while True:
            try:
                sent = time.perf_counter()
                answer = await asyncio.wait_for(self.exchange(method, path, body), 30)
            except (OSError, EOFError, asyncio.IncompleteReadError, ValueError, IndexError):
                self.report.broken += 1
                self.hang_up()
                await asyncio.sleep(
                    max(0.05, self.think(self.random))
                )  # until somebody presses reload
                continue
            now = time.perf_counter()
            kind = {("POST", "/judge"): "judge", ("GET", "/judge"): "show"}.get(
                (method, path.split("?")[0])
            )
            if kind:
                self.report.served[kind].append(now - sent)
                self.report.longest_wait = max(self.report.longest_wait, now - begun)
            return answer

    async def exchange(self, method: str, path: str, body: str) -> tuple[int, dict[str, str], str]:
        if self.writer is None or self.reader is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        lines = [
            f"{method} {path} HTTP/1.1",
            f"host: 127.0.0.1:{self.server.port}",
            f"cookie: {self.cookie}",
        ]
        if method == "POST":
            lines += [
                f"origin: {self.server.base}",
                "content-type: application/x-www-form-urlencoded",
            ]
            lines += [f"content-length: {len(body)}"]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        await self.writer.drain()
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = [line.split(": ", 1) for line in head[1:] if line]
        headers = {name.lower(): value for name, value in pairs}
        page = (await self.reader.readexactly(int(headers["content-length"]))).decode()
        if "set-cookie" in headers:
            self.cookie = headers["set-cookie"].split(";")[0]
        return int(head[0].split()[1]), headers, page

    def hang_up(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


def run(
    server: Server,
    tokens: list[str],
    *,
    think: Callable[[random.Random], float],
    kills: int,
    expected: int,
) -> Report:
    """All annotators at once until the study is done; the server is killed `kills` times, evenly
    over the answers.
    """
    report = Report()

    async def torment() -> None:
        for number in range(kills):
            while len(report.acknowledged) < expected * (number + 0.5) / kills:
                await asyncio.sleep(0.01)
            server.kill()
            report.kills += 1
            await asyncio.to_thread(server.start)

    async def everybody() -> None:
        clients = [Client(server, report, seed, think) for seed in range(len(tokens))]
        async with asyncio.TaskGroup() as group:
            if kills:
                group.create_task(torment())
            for client, token in zip(clients, tokens, strict=True):
                group.create_task(client.work(token))
        for client in clients:
            client.hang_up()

    begun = time.perf_counter()
    asyncio.run(everybody())
    report.seconds = time.perf_counter() - begun
    return report


def served_study(
    folder: Path, *, contexts: int, database: str | None = None, invited: int, **settings: Any
) -> tuple[Study, Server, list[str]]:
    """A study, its server and the tokens of its annotators."""
    protocol = studies.protocol(attention_rate=0.05, repeat_rate=0.05, items=150, **settings)
    study, _ = Study.create(folder / "study", protocol, studies.comparisons(contexts, 8))
    with open_store(study, database) as store:
        tokens = store.invitations.create(invited)
    options = [] if database is None else ["--database", database]
    return study, Server(study.folder, folder / "log", *options), tokens


def check_answers(study: Study, database: str | None, report: Report) -> None:
    """None lost, none twice, quotas exact, sides balanced: the store against what the clients were
    told.
    """
    with open_store(study, database) as store:
        rows = store.judgements()
        overview = store.progress()
    assert Counter(row.assignment for row in rows).most_common(1)[0][1] == 1
    assert {row.assignment: row.answer for row in rows} == report.acknowledged
    scored = [row for row in rows if row.kind == "scored"]
    quota = study.protocol.judgements
    each = Counter(row.comparison for row in scored)
    assert set(each.values()) == {quota}
    assert len(each) == overview.comparisons == overview.finished
    assert not any(row.surplus for row in rows)
    for annotator in {row.annotator for row in scored}:
        sides = Counter(
            row.arm_first == "reference" for row in scored if row.annotator == annotator
        )
        assert abs(sides[True] - sides[False]) <= 1, annotator
    assert {person.state for person in overview.annotators} == {"finished"}
