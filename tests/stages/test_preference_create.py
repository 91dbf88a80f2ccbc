"""From runs to a study: what is compared, what is left out, and how a protocol is read."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from hyperfitting.errors import StudyError
from hyperfitting.files import read_rows, write_rows
from hyperfitting.preference.design.arms import arm_names, read_contexts
from hyperfitting.preference.design.comparisons import left_out_in_words
from hyperfitting.preference.design.create import (
    create_study,
    preview_of,
    preview_study,
    read_protocol,
)
from hyperfitting.preference.design.pairing import pair_texts
from hyperfitting.preference.protocol import Protocol
from hyperfitting.preference.store import open_store
from hyperfitting.preference.study import Study
from hyperfitting.preference.wording import PageWords
from hyperfitting.records import Continuation
from tests.support import studies


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return studies.experiment(tmp_path_factory.mktemp("experiment") / "e")


@pytest.fixture(scope="module")
def contexts(experiment):
    return read_contexts([experiment])


def paired(contexts, **settings):
    return pair_texts(contexts, studies.protocol(**settings))


def scored(made):
    return [row for row in made.comparisons if row.kind == "scored"]


def test_an_experiment_is_read_with_all_its_arms(contexts, experiment):
    assert len(contexts) == 12
    assert arm_names(contexts) == [
        "hyperfitted, greedy",
        "hyperfitted, nucleus",
        "original, greedy",
        "original, nucleus",
        "reference",
    ]
    assert [context.name for context in contexts][:7] == [
        *(f"fiction-{n}" for n in range(6)),
        "news-0",
    ]
    assert contexts[0].text == "fiction piece 0 of 0"
    only = read_contexts([experiment / "original"])
    assert arm_names(only) == ["original, greedy", "original, nucleus", "reference"]
    assert (
        read_contexts([experiment, experiment / "original"]) == contexts
    )  # named twice is read once


def test_runs_that_have_the_same_arms_are_told_apart_by_their_names(experiment, tmp_path):
    other = studies.experiment(tmp_path / "other", seed=7)
    both = read_contexts([experiment, other])
    assert len(both) == 24
    assert {context.name for context in both} == {
        f"{d}-{n}" for d in studies.DOMAINS for n in range(12)
    }
    assert "hyperfitted-00000007, greedy" in arm_names(both)
    assert arm_names(both).count("reference") == 1


def test_each_arm_is_compared_with_the_true_text(contexts):
    made = paired(contexts)
    assert len(scored(made)) == 48
    assert {row.other.arm for row in made.comparisons} == {"reference"}
    assert Counter(row.one.arm for row in made.comparisons) == dict.fromkeys(
        arm_names(contexts)[:-1], 12
    )
    assert len({row.id for row in made.comparisons}) == 48
    row = made.comparisons[0]
    assert row.one.tokens == row.other.tokens == 39  # the last word might go on
    assert row.context_text.startswith(f"{row.domain} piece")
    assert row.group in {f"{row.domain} {n}" for n in range(3)}


def test_the_number_of_a_comparison_says_nothing_of_its_arm(contexts):
    arms = [row.one.arm for row in paired(contexts).comparisons]
    assert arms[:12] != sorted(arms[:12])
    assert len(set(arms[:12])) > 1


def test_pairs_by_name_and_every_two_arms(contexts):
    pair = ("hyperfitted, greedy", "original, greedy")
    by_name = paired(contexts, pairs=(pair,))
    assert {(row.one.arm, row.other.arm) for row in scored(by_name)} == {pair}
    assert len(paired(contexts, pairs="all").pairs) == 10
    fewer = paired(contexts, arms=("original, greedy",), pairs="all")
    assert fewer.pairs == [("original, greedy", "reference")]


def test_the_same_contexts_are_drawn_for_every_pair(contexts):
    made = paired(contexts, per_domain=2)
    by_arm = {
        arm: {row.context for row in scored(made) if row.one.arm == arm}
        for arm in arm_names(contexts)[:-1]
    }
    assert len({frozenset(names) for names in by_arm.values()}) == 1
    assert Counter(row.domain for row in scored(made)) == {"fiction": 8, "news": 8}
    again, other = paired(contexts, per_domain=2), paired(contexts, per_domain=2, seed=1)
    assert again.comparisons == made.comparisons
    assert {row.context for row in scored(other)} != {row.context for row in scored(made)}


def test_a_quota_for_each_domain(contexts):
    made = paired(contexts, per_domain={"news": 3, "fiction": 1})
    assert Counter(row.domain for row in scored(made)) == {"fiction": 4, "news": 12}
    assert {row.domain for row in scored(paired(contexts, per_domain={"news": 2}))} == {"news"}
    assert read_protocol(None, {"per_domain": "{ fiction = 9 }"}, out=Path("x")).per_domain == {
        "fiction": 9
    }


def test_checks_are_a_true_text_against_its_own_words(contexts):
    made = paired(contexts, per_domain=3, attention_rate=0.1)
    checks = [row for row in made.comparisons if row.kind == "attention"]
    assert len(checks) == 4  # a tenth of 24 / 0.9 items, and one to spare
    drawn = {row.context for row in scored(made)}
    for row in checks:
        assert (row.one.arm, row.other.arm) == ("reference", "shuffled")
        assert sorted(row.one.text.split()) == sorted(row.other.text.split())
        assert row.one.text != row.other.text
        assert row.context not in drawn  # or its true text would be known
    assert [row.kind for row in made.comparisons][-4:] == ["attention"] * 4


def test_texts_that_cannot_be_compared_are_left_out_and_counted(experiment, tmp_path):
    rows = read_rows(experiment / "original" / "continuations.jsonl", Continuation)
    changed = []
    for row in rows:
        if (row.domain, row.strategy) == ("fiction", "greedy") and row.context == 0:
            continue
        if (row.domain, row.context, row.variant) == ("fiction", 1, "original"):
            row = studies.continuation(" too short", **where(row))
        if (row.domain, row.context, row.strategy) == ("fiction", 2, "greedy"):
            (true,) = [
                r for r in rows if (r.domain, r.context, r.variant) == ("fiction", 2, "reference")
            ]
            row = studies.continuation(true.text, **where(row))
        changed.append(row)
    write_rows(tmp_path / "continuations.jsonl", changed)
    made = paired(read_contexts([tmp_path]))
    assert made.left_out == {
        "no text of original, greedy": 1,
        "shorter than 16 tokens when truncated": 2,
        "the same text twice": 1,
    }
    assert len(scored(made)) == 24 - 4
    preview = preview_of(made, studies.protocol())
    assert preview.left_out == made.left_out
    assert (preview.comparisons, preview.contexts, preview.checks) == (20, 11, 0)
    assert left_out_in_words(preview.left_out) == (
        "1 no text of original, greedy; 2 shorter than 16 tokens when truncated; 1 the same text "
        "twice"
    )


def where(row):
    names = (
        "variant",
        "run",
        "domain",
        "strategy",
        "context",
        "source",
        "row",
        "group",
        "context_pieces",
    )
    return {name: getattr(row, name) for name in names}


def test_texts_without_a_reference_are_compared_with_each_other_only(experiment, tmp_path):
    rows = read_rows(experiment / "original" / "continuations.jsonl", Continuation)
    write_rows(
        tmp_path / "continuations.jsonl", [row for row in rows if row.variant != "reference"]
    )
    alone = read_contexts([tmp_path])
    assert len(scored(paired(alone, pairs="all"))) == 12
    with pytest.raises(StudyError, match="hold no reference texts; name pairs of arms"):
        paired(alone)
    with pytest.raises(StudyError, match="set attention_rate = 0"):
        paired(alone, pairs="all", attention_rate=0.1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"arms": ("greedy",)},
            "arms: there is no 'greedy' in these runs; there are: hyperfitted, greedy",
        ),
        (
            {"domains": ("poems",)},
            "domains: there is no 'poems' in these runs; there are: fiction; news",
        ),
        ({"pairs": (("a", "b"),)}, "pairs: there is no 'a'"),
        (
            {"arms": ("original · greedy",)},
            "arms: there is no .* in these runs; it is called 'original, greedy' now",
        ),
        ({"per_domain": 7}, "per_domain = 7: the domain 'fiction' has 6 contexts"),
        ({"per_domain": {"poems": 1}}, "per_domain: there is no 'poems' in these runs"),
        ({"per_domain": {"news": 9}}, "per_domain = 9: the domain 'news' has 6 contexts"),
        (
            {"shortest_tokens": 99},
            "nothing is left to compare: 48 shorter than 99 tokens when truncated",
        ),
    ],
)
def test_a_protocol_that_does_not_fit_the_runs(contexts, settings, words):
    with pytest.raises(StudyError, match=words) as caught:
        paired(contexts, **settings)
    assert "\n" not in str(caught.value)


def test_two_texts_where_one_is_expected(experiment, tmp_path):
    rows = read_rows(experiment / "original" / "continuations.jsonl", Continuation)
    twice = studies.continuation(" " + "other " * 40, **where(rows[0]))
    write_rows(tmp_path / "continuations.jsonl", [*rows, twice])
    with pytest.raises(
        StudyError, match="fiction, context 0: two different texts of the arm 'original, greedy'"
    ):
        read_contexts([tmp_path])


def test_a_study_is_written_with_where_it_comes_from(contexts, experiment, tmp_path):
    protocol = studies.protocol()
    made = create_study([experiment], tmp_path / "s", protocol)
    study, token = made.study, made.admin_token
    found = Study.find(tmp_path / "s")
    assert found.comparisons() == pair_texts(contexts, protocol).comparisons
    assert made.preview == preview_study([experiment], protocol)
    facts = json.loads(study.facts_file.read_text())
    assert facts["runs"] == ["hyperfitted-00000000", "original-00000000"]
    assert len(facts["pairs"]) == 4
    names = sorted(path.name for path in (tmp_path / "s").iterdir())
    assert names == ["comparisons.jsonl", "protocol.json", "study.json"]
    assert not [path for path in (tmp_path / "s").iterdir() if token in path.read_text()]


# Protocols


def protocol_file(folder: Path, text: str) -> Path:
    file = folder / "protocol.toml"
    file.write_text(text)
    return file


def test_a_protocol_comes_from_a_file_from_options_and_from_overrides(tmp_path):
    file = protocol_file(
        tmp_path,
        'name = "mine"\njudgements = 5\nseed = 4\npairs = [["a", "b"]]\n[analysis]\nprimary = '
        '"preferred"\n',
    )
    protocol = read_protocol(
        file,
        {"judgements": "4", "attention_rate": "0.1"},
        ["analysis.level=0.9"],
        out=Path("other"),
    )
    assert (protocol.name, protocol.judgements, protocol.seed, protocol.attention_rate) == (
        "mine",
        4,
        4,
        0.1,
    )
    assert (protocol.analysis.primary, protocol.analysis.level) == ("preferred", 0.9)
    assert protocol.pairs == (("a", "b"),)
    given = read_protocol(
        None, {"pairs": "x, greedy=y, greedy; x, greedy=reference"}, out=Path("folder")
    )
    assert given.pairs == (("x, greedy", "y, greedy"), ("x, greedy", "reference"))
    assert given.name == "folder"


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("judgement = 3", {}, "judgement is not a setting; did you mean judgements?"),
        ("judgements = 0", {}, "judgements = 0: it must be at least 1"),
        ("judgements = ", {}, "not a readable protocol"),
        ('pairs = [["a", "a"]]', {}, "a pair compares an arm with itself"),
        ('pairs = [["a", "b"], ["b", "a"]]', {}, "the same pair stands in pairs twice"),
        ("pairs = []", {}, "pairs is empty"),
        ("", {"pairs": "a"}, "--pairs a: write it as reference, all, given, or"),
        ("", {"attention_rate": "0.9"}, "attention_rate = 0.9: it must be at most 0.25"),
        ("hold_minutes = -1", {}, "hold_minutes = -1"),
        (
            "[analysis]\nlevell = 1",
            {},
            "analysis.levell is not a setting; did you mean analysis.level?",
        ),
    ],
)
def test_a_protocol_that_is_wrong_is_one_line(tmp_path, text, options, words):
    with pytest.raises(StudyError) as caught:
        read_protocol(protocol_file(tmp_path, f'name = "x"\n{text}'), options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_protocol_that_is_not_there(tmp_path):
    with pytest.raises(StudyError, match=r"gone\.toml: no such file; .* called paper-table-1$"):
        read_protocol(tmp_path / "gone.toml", {})


def test_the_papers_table_1_is_a_shipped_protocol(experiment, tmp_path):
    protocol = read_protocol(Path("paper-table-1"), {"judgements": "2"}, out=Path("mine"))
    assert (protocol.name, protocol.judgements, protocol.tokens) == ("mine", 2, 256)
    study = create_study([experiment], tmp_path / "s", protocol).study
    pairs = {(row.one.arm, row.other.arm) for row in study.comparisons() if row.kind == "scored"}
    assert pairs == {
        (arm, "reference")
        for arm in ("hyperfitted, greedy", "original, greedy", "original, nucleus")
    }
    assert study.protocol.question == "Which continuation is better?"


def test_a_new_study_has_a_number_of_items_and_replaces_the_careless(experiment, tmp_path):
    study = create_study([experiment], tmp_path / "s", Protocol(name="x")).study
    assert study.protocol.items == 40  # two checks, more than which the rule allows to fail
    assert study.protocol.replace_careless
    said = preview_study([experiment], Protocol(name="x", items=None, replace_careless=False))
    assert said.protocol.items is None
    assert not said.protocol.replace_careless
    assert said.work.items == 40
    own = preview_study([experiment], Protocol(name="x", items=12)).work
    assert (own.items, own.annotators, own.minutes) == (12, 14, 8.0)  # 160 items
    assert Protocol(name="x").items is None  # as in every study before


def test_words_of_ones_own_stay_beside_those_that_the_texts_bring(tmp_path):
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("context,a,b\nSay it,one two,three four\n")
    protocol = Protocol(name="x", words=PageWords(equal="No difference"))
    made = preview_study([pairs], protocol).protocol
    assert made.material == "answers"
    assert made.words.equal == "No difference"
    usual = Protocol(name="x", material="answers")
    assert made.words == usual.words.model_copy(update={"equal": "No difference"})
    assert made.question == usual.question


def test_what_cleaning_took_is_counted_and_kept(experiment, tmp_path):
    rows = read_rows(experiment / "original" / "continuations.jsonl", Continuation)
    changed = [
        studies.continuation(f" <b>{row.text.strip()}</b> “so” it goes on .", **where(row))
        if (row.variant, row.context) == ("original", 0)
        else row
        for row in rows
    ]
    write_rows(tmp_path / "e" / "continuations.jsonl", changed)
    made = create_study([tmp_path / "e"], tmp_path / "s", studies.protocol())
    lost = made.preview.cleaning
    assert Study.find(tmp_path / "s").facts.cleaning == lost
    assert lost.texts == 12 * 3 + 12  # two arms, the true texts and the contexts
    assert (lost.texts_with_losses, lost.characters_removed) == (4, 4 * len("<b>"))
    as_written = pair_texts(read_contexts([tmp_path / "e"]), studies.protocol(clean="nothing"))
    assert as_written.cleaning.characters_removed == 0
    assert sum("<b>" in row.one.text for row in as_written.comparisons) == 4


@pytest.mark.parametrize(
    ("context", "letters", "end"),
    [
        ("从前有一个国王住在山上的城堡里", "他走了很远的路到河边看见一只白色狐狸", "，"),
        ("むかしむかしある", "おじいさんとばあが山へしばかり川行きました", "、"),
        ("กาลครั้งหนึ่ง", "กขคงจชซญดตถทธนบปผพฟภมยรลวสหอ", " "),
    ],
)
def test_languages_without_spaces_are_studied_like_others(tmp_path, context, letters, end):
    """By default, with checks, from one token a character."""
    random_, rows = random.Random(4), []
    for number in range(8):
        for variant, strategy in (("original", "greedy"), ("reference", None)):
            text = [random_.choice(letters) for _ in range(60)]
            text[20::21] = end, end
            fields = {"variant": variant, "strategy": strategy, "context": number, "row": number}
            fields |= {"pieces": tuple(text), "ids": tuple(map(ord, text))}
            rows.append(studies.continuation("", context_pieces=tuple(context), **fields))
    write_rows(tmp_path / "e" / "continuations.jsonl", rows)
    study = create_study([tmp_path / "e"], tmp_path / "s", Protocol(name="x")).study
    scored = [row for row in study.comparisons() if row.kind == "scored"]
    checks = [row for row in study.comparisons() if row.kind == "attention"]
    assert len(scored) == 8
    assert {row.context_text for row in scored} == {context}
    assert min(row.one.tokens for row in scored) >= 59
    assert {sorted(row.one.text) == sorted(row.other.text) for row in checks} == {True}
    assert all(row.one.text != row.other.text for row in checks)


def test_a_check_comes_after_the_other_comparisons_of_its_context(contexts, tmp_path):
    """Where every context is in the study, a check would otherwise tell which text is the true
    one.
    """
    protocol = studies.protocol(attention_rate=0.1)
    study, _ = Study.create(tmp_path / "s", protocol, pair_texts(contexts, protocol).comparisons)
    with open_store(study) as store:
        studies.work(store, studies.ready(store), 60)
        rows = store.judgements()
    met = set()
    for row in rows:
        assert row.kind == "scored" or row.context in met
        met.add(row.context)
    assert [row.kind for row in rows].count("attention") >= 4
