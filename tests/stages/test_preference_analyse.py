"""`hyperfit preference analyse` and `power`: the files left behind, what they say, and every way to
be refused.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hyperfitting.cli import main
from hyperfitting.preference import analysis
from hyperfitting.preference.analysis import Design
from hyperfitting.preference.judges.simulated import SimulationSettings, simulate
from hyperfitting.preference.records import Reply
from hyperfitting.preference.store import open_store
from hyperfitting.preference.store.judgement_files import read_judgements, write_judgements
from hyperfitting.preference.study import Study
from hyperfitting.report.preference import write
from hyperfitting.report.preference.sheets import Sheet, SheetColumn, sheet_csv, sheet_markdown
from hyperfitting.report.preference.write import (
    PreferenceContext,
    preference_headlines,
    write_preference_report,
)
from tests.support import studies
from tests.support.judged import MODEL, NUCLEUS, REFERENCE, judged
from tests.support.spreadsheets import csv_rows
from tests.support.studies import comparisons, protocol

FILES = {
    "agreement-pairs.csv agreement.csv annotators.csv data-quality.csv fit.csv index.html "
    "published.csv report.md sensitivity.csv sensitivity.png shares.csv shares.png slices.csv "
    "slices.png summary.json ttr-regression.csv worths.csv worths.png"
}
PAIRS = ((MODEL, REFERENCE), (NUCLEUS, REFERENCE))


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    write_judgements(path, judged(Design(45, 12, 3), pairs=PAIRS))
    return path


def analyse(*words: object) -> int:
    return main(["preference", "analyse", *map(str, words), "--draws", "50"])


@pytest.mark.pictures
def test_a_file_of_judgements_becomes_a_report(rows_file: Path, capsys: pytest.CaptureFixture[str]):
    assert analyse(rows_file) == 0
    folder = rows_file.with_name("rows-report-human")
    assert {" ".join(sorted(path.name for path in folder.iterdir()))} == FILES
    said = capsys.readouterr().out
    assert f"report   {folder / 'index.html'}" in said
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    whole = summary["analysis"]["shares"][0]
    assert (whole["one"], whole["other"], whole["preferred"]["n"]) == (MODEL, REFERENCE, 135)
    assert (summary["source"], summary["banner"], summary["protocol"]) == ("human", None, [])
    assert summary["headlines"][0] in said
    row = csv_rows(folder / "shares.csv")[0]
    score = whole["preferred_or_equal"]
    assert [float(row[f"preferred_or_equal{end}"]) for end in ("", "_low", "_high")] == [
        score["value"],
        score["low"],
        score["high"],
    ]
    assert (row["judgements"], row["contexts"], row["annotators"]) == ("135", "45", "12")
    page, markdown = (
        (folder / name).read_text(encoding="utf-8") for name in ("index.html", "report.md")
    )
    for text in (page, markdown):
        assert f"{100 * score['value']:.1f}\N{NO-BREAK SPACE}%" in text
        assert "4.9\N{NO-BREAK SPACE}%" in text  # the paper's TinyLlama, beside ours
        assert "A, Table 1" in text
        assert "Simulated" not in text
    assert not re.search(r"<script|<link|\ssrc=|url\((?!#)|@import", page)  # it works from disk
    assert page.count("<svg") == 8  # each for a wide page and for a phone
    assert analyse(rows_file) == 0  # a second report takes the place of the first


def test_csv_and_jsonl_say_the_same(rows_file: Path):
    other = rows_file.with_suffix(".csv")
    write_judgements(other, judged(Design(45, 12, 3), pairs=PAIRS))
    one, two = (
        analysis.analyse_judgements(read_judgements(path), draws=50) for path in (rows_file, other)
    )
    assert one == two


@pytest.mark.pictures
def test_hostile_names_stay_text(tmp_path: Path):
    name = "<script>alert(1)</script> | =1+1"
    rows = judged(Design(45, 12, 3), pairs=((name, REFERENCE),))
    write_judgements(tmp_path / "rows.csv", rows)
    assert analyse(tmp_path / "rows.csv") == 0
    folder = tmp_path / "rows-report-human"
    assert "<script" not in (folder / "index.html").read_text(encoding="utf-8")
    head, *_ = [
        line
        for line in (folder / "report.md").read_text(encoding="utf-8").splitlines()
        if "| <script>" in line
    ]
    assert head.count("|") - head.count(r"\|") == 9
    cells = [("=1+1", 2)]
    assert (
        sheet_csv(Sheet("s", "s", (SheetColumn("arm", "arm"), SheetColumn("n", "n")), cells))
        == "\ufeffarm,n\n'=1+1,2\n"
    )
    sheet = Sheet("s", "s", (SheetColumn("arm", "a|b"),), [("one | two\n\n\u2028three",)])
    assert sheet_markdown(sheet) == "| a\\|b |\n|---|\n| one \\| two three |"


def test_sources_are_chosen_and_a_model_stands_beside_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    people = judged(Design(45, 12, 3))
    model = [
        replace(row, source="model", annotator="judge", assignment=f"m-{row.comparison}")
        for row in {row.comparison: row for row in people}.values()
    ]
    write_judgements(tmp_path / "rows.jsonl", [*people, *model])
    assert analyse(tmp_path / "rows.jsonl") == 2
    error = capsys.readouterr().err
    assert (
        error == "hyperfit: human and model judgements never mix in one estimate: choose one with "
        "--source\n"
    )
    assert not list(tmp_path.glob("*report*"))
    assert analyse(tmp_path / "rows.jsonl", "--source", "human") == 0
    assert csv_rows(tmp_path / "rows-report-human" / "llm-agreement.csv")[0]["model"] == "judge"
    assert analyse(tmp_path / "rows.jsonl", "--source", "model") == 0
    page = (tmp_path / "rows-report-model" / "index.html").read_text(encoding="utf-8")
    assert "Judgements of a language model." in page
    assert "over contexts alone: it says nothing of other judges" in page


def test_a_simulated_study_carries_its_banner_and_its_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder, settings = (
        tmp_path / "study",
        SimulationSettings(strengths={"hyperfitted, greedy": -0.5}, careless=0.2),
    )
    study, _ = Study.create(
        folder, protocol(attention_rate=0.1, repeat_rate=0.1), comparisons(6, 6, (MODEL,))
    )
    told = simulate(study, 10, settings, seed=4).truth
    assert analyse(folder) == 0
    said = capsys.readouterr().out
    assert "note     Simulated judgements." in said
    assert "protocol kept: version: every judgement names it" in said
    report = folder / "report-simulated"
    for name in ("index.html", "report.md", "summary.json"):
        assert "Simulated judgements." in (report / name).read_text(encoding="utf-8")
    found = csv_rows(report / "truth.csv")
    assert float(found[0]["true_preferred"]) == pytest.approx(told[0].shares[0])
    assert [row["what"] for row in csv_rows(report / "protocol.csv")] == [
        "version",
        "order",
        "primary estimand",
        "stop rule",
        "exclusions",
    ]
    assert (
        Study.find(folder).digest == study.digest
    )  # the report beside it changes nothing of the study


@pytest.mark.pictures
def test_a_study_that_people_and_a_model_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    study = studies.study(tmp_path, comparisons(6))
    with open_store(study) as store:
        for choice in ("first", "second", "equal"):
            studies.work(store, studies.ready(store), 99, choice)
        model = store.llm.annotator(
            "judge-7b", '{"model": "judge-7b", "url": "http://me:secret@host/v1"}'
        )
        for row in study.comparisons():
            if row.kind == "scored":
                store.llm.submit(
                    model,
                    row.id,
                    (Reply(True, "first", "A", 1.0), Reply(False, "second", "B", 1.0)),
                )
    assert analyse(study.folder) == 2
    assert "choose one with --source" in capsys.readouterr().err
    assert analyse(study.folder, "--source", "human") == 0
    said = capsys.readouterr().out
    assert "protocol kept: stop rule: all 24 have them" in said
    assert "protocol NOT KEPT" not in said
    report = study.folder / "report-human"
    (row,) = csv_rows(report / "llm-agreement.csv")
    assert row["model"] == f"judge-7b ({model})"
    assert (row["comparisons"], row["contexts"]) == ("24", "12")
    assert row["agreement_low"] != ""
    assert all(b"secret" not in path.read_bytes() for path in report.iterdir())
    assert analyse(study.folder, "--source", "model") == 0
    said = capsys.readouterr().out
    assert "note     Judgements of a language model." in said
    assert "100.0\N{NO-BREAK SPACE}% (at least 77.9\N{NO-BREAK SPACE}% over contexts alone" in said
    assert f"of 12 judgements by judge-7b ({model})" in said


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("not json", "row 2: not JSON"),
        (
            '{"study": "s", "comparison": 4, "answer": "first"}',
            "row 2: no 'annotator'; no 'arm_first'; no 'arm_second'; comparison = 4: a text is needed",
        ),
    ],
)
def test_a_bad_row_is_named_in_one_line(
    rows_file: Path, line: str, message: str, capsys: pytest.CaptureFixture[str]
):
    lines = rows_file.read_text(encoding="utf-8").splitlines()
    rows_file.write_text("\n".join([lines[0], line, *lines[2:]]), encoding="utf-8")
    assert analyse(rows_file) == 2
    error = capsys.readouterr().err
    assert f"{rows_file}, {message}" in error
    assert error.count("\n") == 1


@pytest.mark.pictures
def test_the_headline_is_the_share_that_the_plan_made_primary(tmp_path: Path):
    rows = analysis.analyse_judgements(judged(Design(45, 12, 3)), draws=50)
    preferred, either = (rows.shares[0].preferred.value, rows.shares[0].preferred_or_equal.value)
    (line,) = preference_headlines(rows, PreferenceContext("t", primary="preferred"))
    assert (
        f"was preferred to the true text in {100 * preferred:.1f}\N{NO-BREAK SPACE}% (95\N{NO-BREAK SPACE}%"
        in line
    )
    (line,) = preference_headlines(rows, PreferenceContext("t"))
    assert (
        f"preferred to, or found equal to, the true text in {100 * either:.1f}\N{NO-BREAK SPACE}%"
        in line
    )
    page = write_preference_report(
        rows, PreferenceContext("t", primary="preferred"), tmp_path / "out"
    )
    assert "interval, preferred<" in page.read_text(encoding="utf-8")


def test_what_is_not_there_or_not_ours_is_refused(
    rows_file: Path, capsys: pytest.CaptureFixture[str]
):
    def error(*words: object) -> str:
        assert analyse(*words) == 2
        text = capsys.readouterr().err
        assert text.count("\n") == 1
        return text

    assert "holds no study" in error(rows_file.parent)
    assert "cannot be read" in error(rows_file.with_name("absent.csv"))
    taken = rows_file.with_name("taken")
    taken.mkdir()
    (taken / "thesis.tex").write_text("years of work")
    assert f"{taken} holds something else than a report: choose another --out" in error(
        rows_file, "--out", taken
    )
    assert (taken / "thesis.tex").read_text() == "years of work"
    assert "holds something else than a report" in error(rows_file, "--out", rows_file)
    assert analyse(rows_file) == 0
    assert analyse(rows_file) == 0  # an earlier report is written anew
    report = rows_file.with_name("rows-report-human")
    (report / "variety.csv").touch()  # that of an earlier version too
    (report / ".DS_Store").touch()  # of macOS's Finder, wherever somebody looked
    assert analyse(rows_file) == 0
    assert not (report / "variety.csv").exists()
    capsys.readouterr()
    (report / "thesis.tex").write_text("years of work")
    (report / "thesis.bib").write_text("more of it")
    assert (
        f"{report} holds thesis.bib beside a report, which would be lost: choose another --out"
    ) in error(rows_file)
    assert (report / "thesis.tex").read_text() == "years of work"


def test_every_table_of_a_report_may_be_replaced(tmp_path: Path):
    """A sheet that `refuse_unless_report` does not know would forbid to write a report again."""
    room = Path(write.__file__).parent
    source = "".join(file.read_text(encoding="utf-8") for file in sorted(room.glob("*tables.py")))
    sheets = re.findall(r'\bSheet\(\s*"([\w-]+)"', source)
    assert len(sheets) == 18
    for name in ("sensitivity", *sheets):
        (tmp_path / f"{name}.csv").touch()
    write.refuse_unless_report(tmp_path)


def test_no_password_of_a_database_reaches_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_judgements(tmp_path / "rows.csv", judged(Design(45, 12, 3)))
    monkeypatch.setattr(
        sys,
        "argv",
        ["hyperfit", "preference", "analyse", "--database", "postgresql://me:secret@host/db"],
    )
    assert analyse(tmp_path / "rows.csv") == 0
    for path in (tmp_path / "rows-report-human").iterdir():
        assert b"secret" not in path.read_bytes()


def test_power_prints_a_line_a_design(capsys: pytest.CaptureFixture[str]):
    words = "preference power --contexts 60,300 --annotators 9,30 --seconds 60 --studies 50"
    assert main(words.split()) == 0
    head, _, *lines, small, more, note = capsys.readouterr().out.splitlines()
    rows = [dict(zip(_cells(head), _cells(line), strict=True)) for line in lines]
    assert [(row["contexts"], row["annotators"]) for row in rows] == [
        ("60", "9"),
        ("60", "30"),
        ("300", "9"),
        ("300", "30"),
    ]
    assert rows[3]["hours"] == "15.0"
    assert 8 < float(rows[0]["half-width"].removesuffix("%")) < 14
    assert 3 < float(rows[3]["half-width"].removesuffix("%")) < 8
    assert small.startswith("small    60 contexts and 9 annotators tell a share from 50 % if it is")
    assert more.endswith("roughly; more annotators narrow it most")
    assert "preferred 30%, equal 15%" in note


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| ").split("|")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--annotators 2", "3 judgements a comparison need as many annotators, and there are 2"),
        ("--preferred 0.8 --equal 0.3", "leave no share for each answer"),
        ("--seconds 0", "'0' is not above 0"),
        ("--contexts 60,x", "'x' is not a whole number from 1 to 10000"),
        ("--context-sd nan", "'nan' is not a number from 0 on"),
        ("--seed -1", "'-1' is not a whole number from 0 to"),
    ],
)
def test_power_refuses_in_one_line(words: str, message: str, capsys: pytest.CaptureFixture[str]):
    try:
        code = main(["preference", "power", *words.split()])
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert message in capsys.readouterr().err


@pytest.fixture(scope="module")
def loaded():
    """The names of the modules that the statistics load, and of those that they load with the
    report, from one new process.
    """
    code = (
        "import sys, hyperfitting.preference.analysis; print(' '.join(sys.modules)); import "
        "hyperfitting.report.preference.study, hyperfitting.report.preference.figures; "
        "print(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [set(line.split()) for line in done.stdout.splitlines()]


def test_analysis_and_report_need_no_torch(loaded):
    assert not {"torch", "transformers", "datasets", "fastapi"} & loaded[1]


def test_the_statistics_know_no_database(loaded):
    assert not {"sqlalchemy", "sqlite3"} & loaded[0]
