"""A model as judge, against a small server that speaks chat completions: both orders, what is kept,
every failure.
"""

import json
import re
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hyperfitting.cli import main
from hyperfitting.errors import HyperfittingError, StudyError
from hyperfitting.preference.design.create import create_study
from hyperfitting.preference.judges.endpoint import PROMPT, LlmJudgeSettings
from hyperfitting.preference.judges.llm import judge_with_llm, read_answer
from hyperfitting.preference.judges.simulated import SimulationSettings, simulate
from hyperfitting.preference.protocol import Protocol
from hyperfitting.preference.store import open_store
from hyperfitting.preference.study import Study
from tests.support import studies
from tests.support.spreadsheets import csv_rows


class Server(ThreadingHTTPServer):
    """Answers what `reply(first, second)` returns, text or (status, headers, body); remembers what
    it was asked.
    """

    daemon_threads = True

    def __init__(self, reply):
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply, self.asked, self.headers = reply, [], []
        self.url = f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body))
        self.server.headers.append(dict(self.headers))
        prompt = body["messages"][-1]["content"]
        first, second = (
            re.search(rf"<{name}>\n(.*?)\n</{name}>", prompt, re.S)[1] for name in "ab"
        )
        said = self.server.reply(first, second)
        if said is None:
            self.close_connection = True
            return
        status, headers, data = said if isinstance(said, tuple) else (200, {}, completion(said))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def completion(text):
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


@contextmanager
def serving(reply):
    server = Server(reply)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def study(tmp_path):
    return studies.study(tmp_path, rows=studies.comparisons(2, 2, studies.ARMS[:1]))


def ask(study, server, *, settings=None, **options):
    made = LlmJudgeSettings(url=server.url, model="judge-1", **(settings or {}))
    judged = judge_with_llm(
        study, made, pause=options.pop("pause", lambda seconds: None), **options
    )
    with open_store(study) as store:
        return judged, store.judgements()


def alphabetical(first, second):
    return "A" if first < second else "B"


def test_a_text_preferred_in_both_orders_is_the_answer(study):
    with serving(alphabetical) as server:
        judged, rows = ask(study, server)
    assert (judged.now, judged.before, judged.flips, judged.unanswered) == (6, 0, 0, 0)
    assert len(server.asked) == 12
    assert {row.source for row in rows} == {"model"}
    assert Counter(row.kind for row in rows) == {"scored": 4, "attention": 2}
    for row in rows:
        shown = study.comparison(row.comparison)
        texts = {shown.one.arm: shown.one.text, shown.other.arm: shown.other.text}
        won = {"first": row.arm_first, "second": row.arm_second}[row.answer]
        assert texts[won] == min(texts.values())


def test_a_flip_counts_as_a_tie_and_equal_is_equal(study):
    with serving(lambda first, second: "A") as server:
        judged, rows = ask(study, server)
    assert judged.flips == 6
    assert {row.answer for row in rows} == {"equal"}
    with open_store(study) as store:
        for one, other in store.llm.replies(rows[0].annotator):
            assert (one.one_first, one.answer, one.text) == (True, "first", "A")
            assert (other.one_first, other.answer, other.text) == (False, "first", "A")
    with serving(lambda first, second: "EQUAL") as server:
        judged, rows = ask(study, server)
    assert judged.flips == 0


def test_prompt_model_and_settings_are_kept_and_another_setting_is_another_annotator(study):
    with serving(alphabetical) as server:
        ask(study, server)
        ask(study, server, settings={"temperature": 0.5})
        judged, rows = ask(study, server, settings={"temperature": 0.5})
    assert (judged.now, judged.before) == (0, 6)
    assert len({row.annotator for row in rows}) == 2
    with open_store(study) as store:
        assert [each.label for each in store.progress().annotators] == ["judge-1", "judge-1"]
        kept = [json.loads(each.settings) for each in store.llm.judges()]
    assert [each["temperature"] for each in kept] == [0.0, 0.5]
    assert {each["prompt"] for each in kept} == {PROMPT}
    path, body = server.asked[0]
    assert path == "/v1/chat/completions"
    assert (body["model"], body["temperature"], body["max_tokens"], body["seed"]) == (
        "judge-1",
        0.0,
        16,
        0,
    )
    prompt = body["messages"][0]["content"]
    assert study.protocol.question in prompt
    assert study.protocol.instructions in prompt
    assert not [arm for arm in (*studies.ARMS, "reference", "shuffled") if arm in prompt]


def test_braces_in_a_text_are_only_text(tmp_path):
    rows = studies.comparisons(1, 0, studies.ARMS[:1])[:1]
    hostile = [
        rows[0].__class__(**{**vars(rows[0]), "context_text": "{first} {nothing} {question}"})
    ]
    with serving(alphabetical) as server:
        ask(studies.study(tmp_path, rows=hostile), server)
    assert "{first} {nothing} {question}" in server.asked[0][1]["messages"][0]["content"]


def test_a_model_fills_no_quota(study):
    with serving(alphabetical) as server:
        ask(study, server)
    with open_store(study) as store:
        assert store.progress().answers == 0
        assert len(studies.work(store, studies.ready(store), 99)) == 4
        assert not [row for row in store.judgements() if row.surplus]


def test_what_was_judged_is_kept_and_the_rest_is_asked_again(study):
    asked = []

    def breaks_later(first, second):
        asked.append(first)
        return (
            alphabetical(first, second)
            if len(asked) <= 5
            else (402, {}, b'{"error": "no more\ncredit"}')
        )

    with serving(breaks_later) as server:
        with pytest.raises(
            StudyError, match=r'chat/completions: HTTP 402: \{"error": "no more credit"\}'
        ) as caught:
            ask(study, server, parallel=1)
        assert "\n" not in str(caught.value)
        with open_store(study) as store:
            assert len(store.judgements()) == 2
        server.reply = alphabetical
        judged, rows = ask(study, server)
    assert (judged.now, judged.before) == (4, 2)
    assert len(rows) == 6


@pytest.mark.parametrize(
    "failure",
    [
        (500, {}, b"oops"),
        (429, {"Retry-After": "7"}, b""),
        (503, {"Retry-After": "soon"}, b""),
        None,
    ],
)
def test_failures_that_may_pass_are_tried_again(study, failure):
    replies, waits = [], []

    def first_time_fails(first, second):
        replies.append(first)
        return failure if replies.count(first) == 1 else alphabetical(first, second)

    with serving(first_time_fails) as server:
        judged, _ = ask(study, server, pause=waits.append)
    assert judged.now == 6
    assert set(waits) == ({7.0} if failure and "7" in failure[1].values() else {1.0})


def test_after_the_last_try_it_is_one_line(study):
    waits = []
    with serving(lambda first, second: (500, {}, b"<html>\n oops")) as server:
        with pytest.raises(
            HyperfittingError,
            match=r"HTTP 500: <html> oops \(3 attempts\); the judgements so far are kept",
        ) as error:
            ask(study, server, settings={"retries": 2}, pause=waits.append, parallel=1)
        assert error.value.exit_code == 1
    assert waits == [1.0, 2.0] * 3  # of three comparisons in a row


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ((401, {}, b"no such key: sk-secret"), r"HTTP 401: no such key: \(the key\)"),
        ((302, {"Location": "http://elsewhere.example/"}, b""), "HTTP 302"),
        (
            (200, {}, b"<html>"),
            "the reply is not a chat completion: <html>: is this the right --url?",
        ),
        ((200, {}, b'{"choices": []}'), "the reply is not a chat completion"),
    ],
)
def test_what_will_not_pass_is_told_at_once(study, said, words):
    with serving(lambda first, second: said) as server:
        with pytest.raises(StudyError, match=words) as caught:
            ask(study, server, key="sk-secret", parallel=1)
        assert len(server.asked) == 1
        assert server.headers[0]["Authorization"] == "Bearer sk-secret"
    assert "\n" not in str(caught.value)
    assert "sk-secret" not in str(caught.value)


def test_the_key_is_kept_nowhere(study):
    with serving(alphabetical) as server:
        ask(study, server, key="sk-secret")
    assert not [path for path in study.folder.iterdir() if b"sk-secret" in path.read_bytes()]


def test_nobody_listens(study):
    with serving(alphabetical) as server:
        pass
    with pytest.raises(HyperfittingError, match="cannot be reached: Connection refused"):
        ask(study, server, settings={"retries": 0})


def test_replies_that_are_no_answer_are_counted_and_asked_again(study):
    with serving(lambda first, second: "I like both of them") as server:
        judged, rows = ask(study, server)
        assert (judged.now, judged.unanswered, rows) == (0, 6, [])
        server.reply = alphabetical
        assert ask(study, server)[0].now == 6


def test_every_reply_is_kept_and_shown(study, tmp_path, capsys):
    with serving(lambda first, second: f"I like\nboth of them, {first[:5]}") as server:
        judged, _ = ask(study, server)
        assert judged.example.startswith("“I like\nboth of them, ")
        with open_store(study) as store:
            kept = store.llm.every_reply()
        assert len(kept) == 6
        assert {(each.answer, each.problem) for each in kept} == {(None, "it holds no answer")}
        assert all(each.text.startswith("I like\nboth") for each in kept)
        server.reply = alphabetical
        ask(study, server)
    out = tmp_path / "replies.csv"
    for _ in range(2):  # an earlier export is replaced
        assert (
            main(["preference", "export", str(study.folder), "--replies", "--out", str(out)]) == 0
        )
    assert "rows     18 replies" in capsys.readouterr().out
    rows = csv_rows(out)
    assert Counter(row["problem"] for row in rows) == {"": 12, "it holds no answer": 6}
    assert {row["text"] for row in rows if not row["problem"]} <= {"A", "B"}
    assert {row["model"] for row in rows} == {"judge-1"}
    first, second = rows[:2]
    assert (first["arm_first"], first["arm_second"]) == (second["arm_second"], second["arm_first"])


@pytest.mark.parametrize(
    ("refusal", "problem"),
    [
        ((400, {}, b"content filter"), "HTTP 400: content filter"),
        ((413, {}, b""), "HTTP 413"),
        (
            (200, {}, b'{"choices": [{"message": {"content": null}, "finish_reason": "length"}]}'),
            "a reply without text (length)",
        ),
        ((500, {}, b"out of memory"), "HTTP 500: out of memory (1 attempts)"),
        ((200, {}, b'{"error": "upstream"}'), 'upstream"}: is this the right --url?'),
        ("half a character \ud83d and a zero \0", "?”"),
    ],
)
def test_one_comparison_that_fails_takes_no_other_with_it(study, refusal, problem):
    bad = study.comparisons()[1]

    def reply(first, second):
        return refusal if bad.one.text in (first, second) else alphabetical(first, second)

    with serving(reply) as server:
        judged, rows = ask(study, server, settings={"retries": 0}, parallel=1)
        assert (judged.now, judged.unanswered) == (5, 1)
        assert bad.id not in {row.comparison for row in rows}
        assert judged.example.endswith(problem)
        with open_store(study) as store:
            (kept,) = [each for each in store.llm.every_reply() if each.problem]
        assert kept.comparison == bad.id
        assert kept.problem.endswith(problem) or kept.text.endswith("a zero ?")
        server.reply = alphabetical
        assert ask(study, server, settings={"retries": 0})[0].before == 5


def test_an_endpoint_that_refuses_everything_is_not_asked_for_ever(tmp_path):
    study = studies.study(tmp_path, rows=studies.comparisons(8, 0, studies.ARMS[:1]))
    with serving(lambda first, second: (400, {}, b"max_tokens is not supported")) as server:
        with pytest.raises(StudyError, match="max_tokens is not supported; the judgements so far"):
            ask(study, server, parallel=1)
        assert len(server.asked) == 10


def test_what_is_sent_is_a_setting(study):
    settings = {
        "system": "You are an editor.",
        "temperature": None,
        "max_completion_tokens": 900,
        "seed": None,
        "request": {"reasoning_effort": "low"},
    }
    with serving(alphabetical) as server:
        judged, _ = ask(study, server, settings=settings)
    assert judged.now == 6
    body = server.asked[0][1]
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["messages"][0]["content"] == "You are an editor."
    assert {name: value for name, value in body.items() if name != "messages"} == {
        "model": "judge-1",
        "max_completion_tokens": 900,
        "reasoning_effort": "low",
    }


def test_a_pattern_finds_the_answer(study):
    with serving(lambda first, second: f"[[C]]? No: [[{alphabetical(first, second)}]].") as server:
        judged, rows = ask(study, server, settings={"pattern": r"\[\[(\w+)\]\]"})
    assert (judged.now, judged.flips) == (6, 0)
    assert "equal" not in {row.answer for row in rows}


def test_a_simulated_study_is_not_for_models(study):
    simulate(study, 3, SimulationSettings())
    with serving(alphabetical) as server, pytest.raises(StudyError, match="never mixed"):
        ask(study, server)
    assert server.asked == []


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("A", "first"),
        (" b.\n", "second"),
        ("**B**", "second"),
        ("EQUAL", "equal"),
        ("Equal.", "equal"),
        ("Answer: A", "first"),
        ("The answer is B", "second"),
        ("Continuation A", "first"),
        ("Both have faults.\n\nB", "second"),
        ("<think>A? No.</think>\nB", "second"),
        ("", None),
        ("A good start, but", None),
        ("Neither", None),
        ("AB", None),
    ],
)
def test_how_a_reply_is_read(reply, answer):
    assert read_answer(reply) == answer


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("Verdict: a. Verdict: b", "second"),
        ("<think>Verdict: A</think> Verdict: tie", "equal"),
        ("Verdict: X", None),
        ("A", None),
    ],
)
def test_how_a_reply_is_read_with_a_pattern(reply, answer):
    assert read_answer(reply, r"Verdict: (\w+)") == answer


# The verb


def test_the_verb_judges_and_goes_on(study, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "sk-secret")
    with serving(lambda first, second: "A") as server:
        command = ["preference", "judge", str(study.folder), "--url", server.url, "--model", "m"]
        assert main([*command, "--key-from", "JUDGE_KEY", "--set", "max_tokens=5"]) == 0
        said = capsys.readouterr().out
        assert "rows     6 comparisons judged now, 0 before, by m\nflips    6 of 6" in said
        assert server.asked[0][1]["max_tokens"] == 5
        server.reply = lambda first, second: "hm"
        assert main(command) == 1
        assert "6 comparisons got a reply that is neither A, B nor EQUAL" in capsys.readouterr().err
    assert Study.find(study.folder).digest == study.digest


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--url", "localhost:80"], "--url localhost:80: write it as https://host/v1"),
        (["--url", "http://me:secret@h/v1"], "leave the user and the password out"),
        (
            ["--key-from", "NO_SUCH_VARIABLE"],
            "--key-from NO_SUCH_VARIABLE: that environment variable is not set",
        ),
        (["--prompt", "PROMPT"], "a prompt holds {context}, {first} and {second}"),
        (["--prompt", "GONE"], "GONE: No such file"),
        (["--set", "temprature=1"], "did you mean temperature?"),
        (["--set", "retries=-1"], "retries = -1"),
        (["--set", "pattern='(A'"], "not a regular expression"),
        (["--set", "pattern='A|B'"], "it needs one group"),
        (["--set", "request={ seed = 3 }"], "request holds seed: that is a setting of its own"),
    ],
)
def test_what_cannot_be_asked_is_one_line(study, tmp_path, capsys, options, words):
    (tmp_path / "PROMPT").write_text("{context} {first}")
    options = [str(tmp_path / word) if word in ("PROMPT", "GONE") else word for word in options]
    assert (
        main(
            [
                "preference",
                "judge",
                str(study.folder),
                "--url",
                "http://127.0.0.1:9/v1",
                "--model",
                "m",
                *options,
            ]
        )
        == 2
    )
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert "secret" not in err


def test_a_setting_added_later_makes_no_other_judge(study):
    with serving(alphabetical) as server:
        stored = json.loads(LlmJudgeSettings(url=server.url, model="judge-1").model_dump_json())
        del stored["retries"]
        with open_store(study) as store:
            annotator = store.llm.annotator("judge-1", json.dumps(stored))
            store.llm.annotator("judge-1", json.dumps(stored | {"moods": 3}))
        _, rows = ask(study, server)
    assert {row.annotator for row in rows} == {annotator}


@pytest.mark.parametrize(
    ("head", "cells", "asked"),
    [
        ("a,b", "one {n} is so,two {n} is so", ["Text A:", "Which text is better?"]),
        (
            "context,a,b",
            "why {n}?,one {n} is so,two {n} is so",
            ["The request:\n<context>\nwhy 0?\n</context>\n\nAnswer A:", "Which answer is better?"],
        ),
    ],
)
def test_pairs_from_a_file_are_asked_about_as_what_they_are(tmp_path, head, cells, asked):
    path = tmp_path / "pairs.csv"
    path.write_text("\n".join([head, *(cells.format(n=n) for n in range(3))]) + "\n")
    protocol = Protocol(name="x", attention_rate=0.0)
    study = create_study([path], tmp_path / "s", protocol).study
    with serving(lambda first, second: "A") as server:
        settings = LlmJudgeSettings(url=server.url, model="m")
        assert judge_with_llm(study, settings).now == 3
        assert judge_with_llm(study, settings).before == 3
        prompts = [body["messages"][-1]["content"] for _, body in server.asked]
        with pytest.raises(StudyError, match=r"a prompt holds \{context\}, \{first\} and"):
            judge_with_llm(study, settings.model_copy(update={"prompt": "{first}"}))
    text = "\n".join(prompts)
    assert len(prompts) == 6
    assert all(words in text for words in asked)
    assert "beginning" not in text
    assert "Continuation" not in text
