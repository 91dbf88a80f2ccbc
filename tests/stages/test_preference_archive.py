"""A preference study as a small folder: no database, no secrets, hashes for texts, the same page to
the bit.
"""

import json
from dataclasses import replace
from functools import cache, partial
from hashlib import sha256
from types import SimpleNamespace

import pytest

from hyperfitting.cli import main
from hyperfitting.errors import StudyError
from hyperfitting.preference.judges.simulated import SimulationSettings, simulate
from hyperfitting.preference.records import Reply
from hyperfitting.preference.store import open_store
from hyperfitting.preference.store.archive import archive_study
from hyperfitting.preference.store.judgement_files import export_judgements, read_judgements
from hyperfitting.preference.study import Study
from hyperfitting.report.preference.study import report_preference
from tests.support import studies
from tests.support.cli import refused
from tests.support.old_studies import old_study, old_tokens

FILES = {"archive.json", "comparisons.jsonl", "judgements.jsonl", "llm_judges.jsonl", "study.json"}
SETTINGS = '{"model": "judge-7b", "url": "http://me:secret@host/v1"}'
OLD = (["simulated", "simulated"], ["judged", "human"], ["judged", "model"])


def rows():
    """Comparisons whose texts differ in the type-token ratio."""
    made = studies.comparisons(6, 6)
    return [
        replace(row, one=replace(row.one, ttr=0.4 + number % 7 / 13))
        for number, row in enumerate(made)
    ]


def make_simulated(folder):
    settings = SimulationSettings(strengths={"hyperfitted, greedy": -0.5}, careless=0.2)
    study = studies.study(folder, rows(), attention_rate=0.1, repeat_rate=0.1)
    simulate(study, 10, settings, seed=4)
    return study


def make_judged(folder):
    """A study that three people and a model judged, one person excluded by hand."""
    study = studies.study(folder, rows())
    with open_store(study) as store:
        people = [studies.ready(store) for _ in range(4)]
        for annotator, choice in zip(people, ("first", "second", "equal", "first"), strict=True):
            studies.work(store, annotator, 99, choice)
        store.annotators.exclude(people[0], "asleep")
        store.invitations.create(1, label="the reading group")
        model = store.llm.annotator("judge-7b", SETTINGS)
        said = (Reply(True, "first", "A", 1.0), Reply(False, "second", "B", 1.0))
        for row in study.comparisons():
            if row.kind == "scored":
                store.llm.submit(model, row.id, said)
    return study


MAKERS = {
    "simulated": make_simulated,
    "judged": make_judged,
    "old simulated": partial(old_study, "simulated"),
    "old judged": partial(old_study, "judged"),
}


@pytest.fixture(scope="module")
def studies_once(tmp_path_factory):
    """A function that makes a study, or reports on it from one source, at most once."""

    @cache
    def study(name):
        return MAKERS[name](tmp_path_factory.mktemp("study"))

    @cache
    def reported(name, source):
        return report_preference(study(name).folder, source=source, draws=50)

    return SimpleNamespace(study=study, reported=reported)


@pytest.fixture
def simulated(studies_once):
    return studies_once.study("simulated")


@pytest.fixture
def judged(studies_once):
    return studies_once.study("judged")


def held(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def same_report(whole, archive, source):
    """The report of the archive, which agrees with the study's own to the bit."""
    small = report_preference(archive.folder, source=source, draws=50)
    assert held(small.page.parent) == held(whole.page.parent)
    assert small.analysis == whole.analysis
    of_people = [] if small.analysis.source == "model" else ["stop rule", "exclusions"]
    checks = ["version", "order", "primary estimand", *of_people]
    assert [each.what for each in small.protocol_checks] == checks
    return small


@pytest.mark.parametrize("texts", [False, True])
def test_an_archive_gives_the_page_of_a_simulated_study(tmp_path, studies_once, texts):
    study = studies_once.study("simulated")
    archive = archive_study(study, tmp_path / "small", texts=texts)
    assert set(held(archive.folder)) == FILES | {"protocol.json", "simulations.json"}
    assert archive.digest == study.digest
    assert archive.protocol_file.read_bytes() == study.protocol_file.read_bytes()
    assert archive.archive.texts is texts
    assert (archive.comparisons() == study.comparisons()) is texts
    made = same_report(studies_once.reported("simulated", None), archive, None)
    report = held(made.page.parent)
    assert {"truth.csv", "protocol.csv", "ttr-regression.csv"} <= set(report)


@pytest.mark.parametrize("texts", [False, True])
def test_people_one_excluded_and_a_model_are_the_same_in_it(tmp_path, studies_once, texts):
    study = studies_once.study("judged")
    archive = archive_study(study, tmp_path / "small", texts=texts)
    made = same_report(studies_once.reported("judged", "human"), archive, "human")
    assert made.protocol_checks[-1].found.endswith("1 more by hand: 1 for “asleep”")
    assert made.analysis.llm_agreement[0].model.startswith("judge-7b (")
    same_report(studies_once.reported("judged", "model"), archive, "model")
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    assert export_judgements(study, one).rows == export_judgements(archive, other).rows
    assert read_judgements(one) == read_judgements(other)
    assert read_judgements(one) == read_judgements(archive.judgements_file)
    codes = [
        {json.loads(line)["completion_code"] for line in path.read_text().splitlines()}
        for path in (one, other)
    ]
    assert len(codes[0]) > 1
    assert codes[1] == {None}  # an archive knows no codes and no labels


def test_no_text_and_no_secret_is_in_it_and_hashes_tell_the_texts(tmp_path, judged):
    study = judged
    archive = archive_study(study, tmp_path / "small")
    everything = b"\n".join(held(archive.folder).values()).decode()
    shown = [text for row in study.comparisons() for text in (row.context_text, row.one, row.other)]
    texts = [each if isinstance(each, str) else each.text for each in shown]
    secrets = [study.facts.admin_hash, "reading group", "me:secret", *texts]
    assert [each for each in secrets if each in everything] == []
    for before, after in zip(study.comparisons(), archive.comparisons(), strict=True):
        assert after.one.text == f"sha256:{sha256(before.one.text.encode()).hexdigest()}"
        hashed = sha256(before.context_text.encode()).hexdigest()
        assert after.context_text == f"sha256:{hashed}"
        assert replace(after.other, text="") == replace(before.other, text="")
    whole = sha256(study.comparisons_file.read_bytes()).hexdigest()
    assert archive.archive.left_out == {"comparisons.jsonl": whole}
    assert not archive.is_admin("")
    text = archive.protocol_file.read_text()
    archive.protocol_file.write_text(text.replace('"judgements": 3', '"judgements": 2'))
    with pytest.raises(StudyError, match="were changed after the study was made"):
        Study.find(archive.folder)


@pytest.mark.parametrize(("name", "source"), OLD)
@pytest.mark.parametrize("texts", [False, True])
def test_a_study_of_an_older_version_is_archived_too(tmp_path, studies_once, name, source, texts):
    study = studies_once.study(f"old {name}")
    archive = archive_study(study, tmp_path / "small", texts=texts)
    assert archive.protocol_file.name == "plan.json"
    assert archive.digest == study.digest
    same_report(studies_once.reported(f"old {name}", source), archive, source)
    assert not archive.is_admin(old_tokens()["admin"])


def test_an_archive_takes_no_judgements(tmp_path, simulated, capsys):
    archive = archive_study(simulated, tmp_path / "small").folder
    before = held(archive)
    for command in (
        ["serve", archive],
        ["invite", archive],
        ["invite", archive, "--list"],
        ["invite", archive, "--admin"],
        ["simulate", archive, "--annotators", "2"],
        ["judge", archive, "--url", "http://127.0.0.1:9/v1", "--model", "m"],
        ["archive", archive, "--out", tmp_path / "again"],
        ["analyse", archive, "--database", f"sqlite:///{tmp_path}/study/study.sqlite"],
    ):
        line = refused(capsys, "preference", *map(str, command))
        assert line == (
            f"hyperfit: {archive}: an archive takes no judgements: "
            "give the study that it was made of\n"
        )
    assert held(archive) == before
    assert not (tmp_path / "again").exists()


def test_the_command_writes_a_new_folder_and_never_overwrites(tmp_path, simulated, capsys):
    study, out = simulated, tmp_path / "results" / "small"
    command = ["preference", "archive", str(study.folder), "--out", str(out)]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert said == f"archive  {out}\nnext     hyperfit preference analyse {out}\n"
    before = held(out)
    assert "is there already: choose another --out" in refused(capsys, *command)
    assert held(out) == before
    assert main([*command[:-1], f"{out}-texts", "--texts"]) == 0
    kept = (tmp_path / "results" / "small-texts" / "comparisons.jsonl").read_bytes()
    assert kept == study.comparisons_file.read_bytes()
    assert main(["preference", "analyse", str(out), "--draws", "20"]) == 0
    said = capsys.readouterr().out
    assert said.count("protocol kept") == 5


def test_an_archive_is_whole_or_not_there(tmp_path, capsys):
    study, out = studies.study(tmp_path), tmp_path / "results" / "small"
    command = ["preference", "archive", str(study.folder), "--out", str(out)]
    assert "no judgement in it yet, so it cannot be archived" in refused(capsys, *command)
    simulate(study, 3, SimulationSettings(), seed=1)
    (tmp_path / "results").write_text("mine")
    assert "is a file, and a folder is needed there" in refused(capsys, *command)
    assert (tmp_path / "results").read_text() == "mine"
    comparisons = study.comparisons_file.read_text().splitlines(keepends=True)
    study.comparisons_file.write_text("".join(comparisons[1:]))
    other = ["preference", "archive", str(study.folder), "--out", str(tmp_path / "other")]
    assert "were changed after the study was made" in refused(capsys, *other)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("archive.json", "{}", r"archive\.json is damaged: hyperfitting: Field required"),
        ("judgements.jsonl", "{}\n", r"judgements\.jsonl: no column 'comparison'"),
        ("judgements.jsonl", "", r"judgements\.jsonl: no judgement in it"),
        ("llm_judges.jsonl", "{}\n", r"llm_judges\.jsonl is damaged: row 1 is no LlmJudge"),
    ],
)
def test_a_damaged_archive_is_one_line(tmp_path, simulated, capsys, name, text, words):
    archive = archive_study(simulated, tmp_path / "small")
    (archive.folder / name).write_text(text)
    line = refused(capsys, "preference", "analyse", str(archive.folder))
    assert json.dumps(line).count(r"\n") == 1
    with pytest.raises(Exception, match=words):
        report_preference(archive.folder)
