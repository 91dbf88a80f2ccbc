"""The tutorial on pairs of one's own: every command of it, in order, in a fresh folder."""

import shlex
import shutil
from pathlib import Path

from hyperfitting.cli import main, parser
from hyperfitting.preference.store import open_store
from hyperfitting.preference.study import Study
from tests.support.pages import code_blocks
from tests.support.source import ROOT
from tests.support.spreadsheets import csv_rows

PAGE = ROOT / "docs" / "tutorial" / "5-your-own-pairs.md"
PAIRS = PAGE.with_name("pairs.csv")


def test_there_are_forty_pairs_for_it():
    rows = csv_rows(PAIRS)
    assert len(rows) == 40
    assert list(rows[0]) == ["request", "plain", "wordy"]
    assert len({text for row in rows for text in row.values()}) == 120


def test_its_commands_lead_from_the_file_to_both_reports(tmp_path, monkeypatch, capsys):
    (tmp_path / "docs" / "tutorial").mkdir(parents=True)
    shutil.copy(PAIRS, tmp_path / "docs" / "tutorial")
    monkeypatch.chdir(tmp_path)
    blocks = code_blocks(PAGE.read_text(encoding="utf-8"), "sh")
    said = {}
    for line in "".join(blocks).splitlines():
        arguments = shlex.split(line)[1:]
        if arguments[1] == "serve":
            assert parser().parse_args(arguments).function
            answer_by_links(said["invite"])
            continue
        if arguments[1] == "analyse":
            arguments += ["--draws", "20"]
        assert main(arguments) == 0, line
        said[" ".join(arguments[1:3] if arguments[1] == "analyse" else arguments[1:2])] = (
            capsys.readouterr().out
        )
    assert "plain was preferred to, or found equal to, wordy in" in said["analyse rehearsal"]
    assert "truth    plain against wordy" in said["simulate"]
    assert "40 items each at most" in said["create"]
    assert "of 120 judgements" in said["analyse study"]
    assert Path("study/report-human/index.html").is_file()


def answer_by_links(links):
    """What five people do at a time, in the place of the server."""
    with open_store(Study.find(Path("study"))) as store:
        people = [store.annotators.enter(link.rpartition("/")[2]).id for link in links.split()]
        for who in people:
            store.annotators.consent(who)
            store.annotators.pass_test(who)
        while items := [(who, item) for who in people if (item := store.items.next(who))]:
            for who, item in items:
                comparison, one_first = store.items.unblinded(item.assignment)
                good = "first" if one_first else "second"
                choice = good if comparison.kind == "attention" else "first"
                store.items.submit(who, item.assignment, choice, f"{item.number}", 5.0)
        assert len([row for row in store.judgements() if row.kind == "scored"]) == 120
