"""A report stands when a part of it cannot be computed: what is missing is listed with its
reason.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hyperfitting.cli import main
from hyperfitting.errors import StudyError
from hyperfitting.preference.analysis import Design, analyse_judgements
from hyperfitting.preference.analysis.guard import StatisticsGuard, without_non_finite
from hyperfitting.preference.analysis.population import Population
from hyperfitting.preference.judges.simulated import SimulationSettings, simulate
from hyperfitting.preference.protocol import PlannedAnalysis
from hyperfitting.preference.records import Reply
from hyperfitting.preference.store import open_store
from hyperfitting.preference.store.judgement_files import export_judgements
from hyperfitting.preference.store.llm_judgements import KeptReply
from hyperfitting.report.preference.sheets import sheet_csv, sheet_markdown
from hyperfitting.report.preference.study import report_preference
from hyperfitting.report.preference.write import (
    PreferenceContext,
    preference_headlines,
    preference_sheets,
    preference_summary,
    table_notes,
)
from tests.support import studies
from tests.support.judged import MODEL, NUCLEUS, REFERENCE, judged, judgement
from tests.support.spreadsheets import csv_rows
from tests.support.studies import comparisons

pytestmark = pytest.mark.pictures

APART = ("a · x", "b · y")


def summary(page: Path) -> dict:
    return json.loads((page.parent / "summary.json").read_text(encoding="utf-8"))


# Pairs without a common arm


def apart() -> list[replace]:
    """Comparisons of two pairs of arms that share none."""
    rows = comparisons(4, 0, (MODEL,))
    return rows + [
        replace(
            row,
            id=f"d{row.id}",
            one=replace(row.one, arm=APART[0]),
            other=replace(row.other, arm=APART[1]),
        )
        for row in rows
    ]


def test_pairs_without_a_common_arm_have_a_scale_each(tmp_path: Path):
    study = studies.study(tmp_path, apart())
    simulate(study, 4, SimulationSettings())
    made = report_preference(study.folder, draws=20)
    assert [scale.baseline for scale in made.analysis.scales] == [REFERENCE, APART[0]]
    assert len(made.headlines) == 2
    folder = made.page.parent
    assert [row["arm"] for row in csv_rows(folder / "worths.csv")] == [REFERENCE, MODEL, *APART]
    assert len(csv_rows(folder / "shares.csv")) == 2
    assert {"agreement.csv", "data-quality.csv"} <= {path.name for path in folder.iterdir()}
    (missing,) = csv_rows(folder / "not-computed.csv")
    assert missing["what"] == "one scale for all arms"
    assert f"{{{', '.join(APART)}}}" in missing["why"]
    page = made.page.read_text(encoding="utf-8")
    assert "A scale for each group of arms" in page
    assert "What could not be computed" in page


def test_create_says_beforehand_that_there_is_no_common_scale(tmp_path: Path, capsys):
    runs = studies.experiment(tmp_path / "runs", 2)
    pairs = "hyperfitted, greedy=original, greedy;hyperfitted, nucleus=original, nucleus"
    words = ["preference", "create", str(runs), "--dry-run", "--set", "attention_rate=0"]
    assert main([*words, "--pairs", pairs]) == 0
    said = capsys.readouterr().out
    assert "scale    no comparison links {hyperfitted, greedy, original, greedy} and {" in said
    assert main(words) == 0
    assert "scale " not in capsys.readouterr().out


# Numbers that JSON cannot hold, and degenerate studies


def slight_differences() -> list[replace]:
    """144 answers that follow type-token ratios which hardly differ, but for four."""
    rng = np.random.default_rng(1)
    rows = []
    for number, row in enumerate(judged(Design(48, 12, 3))):
        step = 0.00012 * rng.uniform(-1, 1)
        first = (step > 0) != (number % 36 == 0)
        rows.append(
            replace(
                row,
                arm_first=MODEL,
                arm_second=REFERENCE,
                ttr_first=0.5 + step,
                ttr_second=0.5,
                answer="first" if first else "second",
            )
        )
    return rows


def same_answer(answer: str) -> list[replace]:
    return [replace(row, answer=answer) for row in judged(Design(12, 4, 3))]


def separated() -> list[replace]:
    rows = judged(Design(12, 4, 3), population=Population(lean=8.0, context_sd=0.0))
    return [replace(row, arm_first=MODEL, arm_second=REFERENCE, answer="first") for row in rows]


WIDE = judged(Design(12, 4, 3), pairs=((MODEL, REFERENCE), (NUCLEUS, REFERENCE)))
DEGENERATE = {
    "slight differences": slight_differences(),
    "all first": same_answer("first"),
    "all ties": same_answer("equal"),
    "separated": separated(),
    "one annotator": judged(Design(12, 1, 1)),
    "one context": [
        replace(row, context="c", group="c", domain="wiki", comparison=str(number))
        for number, row in enumerate(judged(Design(6, 3, 3)))
    ],
    "one judgement": [judgement()],
    "two judgements": [judgement(), judgement("equal", annotator="ann-1", assignment="b")],
    "constant type-token ratio": [replace(row, ttr_first=0.5, ttr_second=0.5) for row in WIDE],
    "no type-token ratio": [replace(row, ttr_first=None) for row in WIDE],
    "no length": [replace(row, tokens=None) for row in WIDE],
    "some lengths": [*WIDE[:10], *(replace(row, tokens=None) for row in WIDE[10:])],
    "no time": [replace(row, seconds=None) for row in WIDE],
    "all hasty": [replace(row, seconds=0.1) for row in WIDE],
    "all inattentive": [
        *WIDE,
        *(
            judgement(
                "equal",
                annotator=f"ann-{number % 4}",
                assignment=f"check-{number}",
                comparison=f"check-{number}",
                kind="attention",
                arm_second="shuffled",
            )
            for number in range(8)
        ),
    ],
    "checks that say nothing": [
        *WIDE,
        judgement(assignment="x", comparison="x", kind="attention", arm_second="mixed"),
    ],
    "a repeat alone": [
        *WIDE,
        judgement(assignment="y", comparison="y-again", kind="repeat", repeats="y"),
    ],
    "a model": [replace(row, source="model") for row in judged(Design(12, 1, 1))],
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_a_degenerate_study_is_reported_with_what_it_determines(name: str):
    """Everything that a report writes but its pictures."""
    for rules in (None, PlannedAnalysis()):
        found = analyse_judgements(DEGENERATE[name], rules=rules, draws=20)
        context = PreferenceContext(name)
        whole = json.loads(preference_summary(found, context))
        assert whole["not_finite"] == []
        assert len(whole["headlines"]) >= 1
        for sheet in preference_sheets(found, context):
            assert sheet_csv(sheet).startswith("\ufeff")
            assert sheet_markdown(sheet.readable())
        assert "None" not in " ".join(table_notes(found, context).values())
        assert all(each.why for each in found.not_computed)


def test_an_odds_ratio_that_no_number_holds_is_a_note():
    found = analyse_judgements(DEGENERATE["slight differences"], draws=20)
    (slope,) = found.ttr_regression
    assert slope.odds_ratio is None
    assert slope.note == "the differences in type-token ratio are too small"
    assert found.shares[0].preferred.value is not None


def test_a_study_whose_annotators_are_all_left_out_still_shows_everyone():
    found = analyse_judgements(DEGENERATE["all hasty"], rules=PlannedAnalysis(), draws=20)
    assert found.shares == ()
    assert len(found.sensitivity["everyone"]) == 2
    assert found.not_computed[0].why.startswith("no judgement is left in the primary set")
    (line,) = preference_headlines(found, PreferenceContext("t"))
    assert line == "No judgement counts: the rules left out everybody who answered."


def test_checks_that_do_not_say_which_text_is_better_are_counted():
    found = analyse_judgements(DEGENERATE["checks that say nothing"], draws=20)
    assert found.not_computed[0].what == "1 attention checks"
    assert sum(each.failures for each in found.attention) == 0


def test_a_failure_of_the_data_is_noted_and_one_of_the_program_is_not():
    guard = StatisticsGuard()
    assert guard.attempt("a ratio", 7, lambda: 1 // 0) == 7
    assert guard.attempt("a root", None, math.sqrt, -1.0) is None
    assert [each.what for each in guard.not_computed] == ["a ratio", "a root"]
    with pytest.raises(KeyError):
        guard.attempt("a name", 7, lambda: {}["name"])


def test_numbers_that_json_cannot_hold_become_none_in_one_place():
    tree = {"a": [1.0, math.inf], "b": ({"c": math.nan}, "x"), "d": -math.inf}
    finite, lost = without_non_finite(tree)
    assert finite == {"a": [1.0, None], "b": ({"c": None}, "x"), "d": None}
    assert lost == ["a.1", "b.0.c", "d"]
    found = analyse_judgements(WIDE, draws=20)
    context = PreferenceContext("t", provenance={"setting": math.inf})
    assert json.loads(preference_summary(found, context))["not_finite"] == ["provenance.setting"]


# Rows from elsewhere


def test_five_columns_become_a_report_that_says_what_it_lacks(tmp_path: Path, capsys):
    """The arms have names that the font of the pictures lacks. Warnings are errors here."""
    names = ("comparison", "annotator", "arm_first", "arm_second", "answer")
    lines = [",".join(f'"{getattr(row, name)}"' for name in names) for row in WIDE]
    text = "\n".join([",".join(names), *lines]).replace(MODEL, "模型甲").replace(NUCLEUS, "نموذج")
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8")
    assert main(["preference", "analyse", str(tmp_path / "rows.csv"), "--draws", "20"]) == 0
    said = capsys.readouterr().out
    assert "12 contexts and 4 annotators only) of 36 judgements" in said
    assert "missing  time on a page, and who is hasty: 72 of 72 rows have no 'seconds'" in said
    assert "missing  intervals over contexts: no column 'context'" in said
    folder = tmp_path / "rows-report-human"
    assert len(csv_rows(folder / "shares.csv")) == 2
    assert float(csv_rows(folder / "shares.csv")[0]["preferred_or_equal_low"]) > 0
    missing = {row["what"] for row in csv_rows(folder / "not-computed.csv")}
    assert {"shares by domain", "shares by length", "who judged"} <= missing
    assert (folder / "index.html").read_text(encoding="utf-8").count("模型甲 vs reference") > 4


# Several language models


@pytest.fixture
def two_judges(tmp_path: Path):
    """A study that three people and two models judged; one model left two comparisons without an
    answer.
    """
    study = studies.study(tmp_path, comparisons(4, 0))
    with open_store(study) as store:
        for choice in ("first", "second", "equal"):
            studies.work(store, studies.ready(store), 99, choice)
        for name, flips in (("small", True), ("large", False)):
            judge = store.llm.annotator(name, json.dumps({"model": name}))
            for number, row in enumerate(study.comparisons()):
                if name == "small" and number < 2:
                    store.llm.keep_unanswered(
                        [KeptReply(judge, row.id, True, None, "Both!", 1.0, "it holds no answer")]
                    )
                    continue
                second = "first" if flips and number % 2 else "second"
                said = Reply(True, "first", "A", 1.0), Reply(False, second, second[0], 1.0)
                store.llm.submit(judge, row.id, said)
    return study


def test_judges_stand_side_by_side_and_are_never_pooled(two_judges, capsys):
    words = ["preference", "analyse", str(two_judges.folder), "--source", "model", "--draws", "20"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert said.count("judgements by small (") == said.count("judgements by large (") == 2
    assert "stop rule" not in said
    folder = two_judges.folder / "report-model"
    judges = csv_rows(folder / "judges.csv")
    small, large = (name for name in judges[0] if name.endswith(")"))
    assert (small[:7], large[:7]) == ("small (", "large (")
    assert [float(row[large]) for row in judges] == [1.0, 1.0]
    assert all(row["people"] for row in judges)
    flips = {row["judge"].split()[0]: row for row in csv_rows(folder / "flips.csv")}
    assert (flips["small"]["comparisons"], flips["small"]["flips"]) == ("14", "7")
    assert [flips["large"][name] for name in ("flips", "drawn_first", "exchanged_second")] == [
        "0",
        "16",
        "16",
    ]
    unanswered = csv_rows(folder / "unanswered.csv")
    assert [(row["reply"], row["answered_later"]) for row in unanswered] == [("Both!", "no")] * 2
    agreement = csv_rows(folder / "llm-agreement.csv")
    assert [row["model"] for row in agreement] == [small, large]
    file = folder / "data-quality.csv"
    quality = csv_rows(file) if file.exists() else []
    assert "the one shown first, of decided answers" not in {row["what"] for row in quality}
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "Judge by judge" in page
    assert "exact binomial p" not in page


def test_the_judge_of_the_report_is_chosen(two_judges, capsys):
    words = ["preference", "analyse", str(two_judges.folder), "--source", "model", "--draws", "20"]
    assert main([*words, "--judge", "large"]) == 0
    page = (two_judges.folder / "report-model" / "index.html").read_text(encoding="utf-8")
    assert "All other tables and pictures are of large (" in page
    assert main([*words, "--judge", "huge"]) == 2
    error = capsys.readouterr().err
    assert "--judge huge: no such judge; there are: small (a0004), large (a0005)" in error
    with open_store(two_judges) as store:
        rows = store.judgements()
        store.llm.annotator("large", '{"model": "large", "prompt": "another"}')
    with pytest.raises(StudyError, match="--judge large: several judges are called so"):
        report_preference(two_judges.folder, judge="large", draws=20)
    with pytest.raises(StudyError, match=r"2 language models .* never mix in one estimate"):
        analyse_judgements(rows, source="model")


# Exports, and a disk that cannot be written


def test_an_export_has_labels_codes_and_on_request_texts(tmp_path: Path, capsys):
    study = studies.study(tmp_path, comparisons(2, 0))
    with open_store(study) as store:
        studies.work(store, studies.ready(store), 99)
        (person,) = store.progress().annotators
    words = ["preference", "export", str(study.folder), "--out"]
    assert main([*words, str(tmp_path / "rows.csv"), "--texts"]) == 0
    said = capsys.readouterr().out
    assert "note     the file holds labels and completion codes: `archive` leaves both out" in said
    rows = csv_rows(tmp_path / "rows.csv")
    assert {row["completion_code"] for row in rows} == {person.completion_code}
    shown = study.comparison(rows[0]["comparison"])
    texts = {each.arm: each.text for each in (shown.one, shown.other)}
    assert rows[0]["text_first"] == texts[rows[0]["arm_first"]]
    assert rows[0]["context_text"] == shown.context_text
    assert main([*words, str(tmp_path / "rows.csv")]) == 0  # it takes the place of the first
    assert "text_first" not in csv_rows(tmp_path / "rows.csv")[0]


def test_a_study_on_a_read_only_disk_is_exported_and_analysed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    study = studies.study(tmp_path, comparisons(2, 0))
    with open_store(study) as store:
        studies.work(store, studies.ready(store), 99)
    before = {path.name: path.read_bytes() for path in study.folder.iterdir()}
    access = os.access

    def read_only(path, mode):  # what the system says of a disk that is mounted read-only
        inside = study.folder == Path(path) or study.folder in Path(path).parents
        return not (inside and mode & os.W_OK) and access(path, mode)

    monkeypatch.setattr(os, "access", read_only)
    for file in study.folder.iterdir():
        file.chmod(0o444)
    assert export_judgements(study, tmp_path / "rows.jsonl").rows == 8
    with pytest.raises(StudyError, match="cannot be written to: choose another with --out"):
        report_preference(study.folder, draws=20)
    assert report_preference(study.folder, out=tmp_path / "out", draws=20).page.is_file()
    assert {path.name: path.read_bytes() for path in study.folder.iterdir()} == before
