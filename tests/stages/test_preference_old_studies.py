"""Studies of version 0.1.0 open, go on, and are analysed with the same numbers."""

import json
import math

import pytest

from hyperfitting.cli import main
from hyperfitting.errors import StudyError
from hyperfitting.preference import study as study_module
from hyperfitting.preference.judges.simulated import SimulationSettings, read_simulations, simulate
from hyperfitting.preference.protocol import Protocol
from hyperfitting.preference.records import Reply
from hyperfitting.preference.store import open_store
from hyperfitting.preference.store.links import invite
from hyperfitting.preference.study import Study
from hyperfitting.preference.web.app import make_app
from hyperfitting.report.preference.study import report_preference
from tests.support import studies
from tests.support.old_studies import old_analysis, old_study, old_tokens
from tests.support.visitors import Visitor

RENAMED = {"variety": "ttr_regression", "models": "llm_agreement"}
BOUNDS = {"error", "low", "high", "bound"}


def same(new, old, where="analysis"):
    """Equal, numbers to nine digits; names that changed are followed. Names what differs."""
    if isinstance(old, dict):
        old = (
            {RENAMED.get(name, name): value for name, value in old.items()}
            if where == "analysis"
            else old
        )
        assert new.keys() >= old.keys(), where
        for name in old:
            few = min(old.get("contexts", 10), old.get("annotators", 10)) < 10
            if name in BOUNDS and old[name] is None and few:
                continue  # that version gave no interval below 10 clusters
            same(new[name], old[name], f"{where}.{name}")
    elif isinstance(old, list):
        assert len(new) == len(old), where
        for number, (one, other) in enumerate(zip(new, old, strict=True)):
            same(one, other, f"{where}[{number}]")
    elif isinstance(old, float):
        assert math.isclose(new, old, rel_tol=1e-9, abs_tol=1e-12), (
            f"{where}: {new} instead of {old}"
        )
    else:
        assert new == old, where


@pytest.mark.parametrize(
    ("name", "source", "rows"), [("simulated", None, 154), ("judged", "human", 76)]
)
def test_the_numbers_are_the_same(tmp_path, name, source, rows):
    study = old_study(name, tmp_path)
    made = report_preference(study.folder, source=source, draws=200)
    summary = json.loads((made.page.parent / "summary.json").read_text(encoding="utf-8"))
    assert summary["analysis"]["counts"]["rows"] == rows
    same(summary["analysis"], old_analysis(name))
    assert made.protocol_checks[0].found == "every judgement names it"
    assert (
        "hyperfitted · greedy was preferred to, or found equal to, the true text in"
        in made.headlines[0]
    )


def test_the_digest_stays_and_guards_both_files(tmp_path):
    study = old_study("simulated", tmp_path)
    assert study.digest.startswith("5cefcb9d21c4")
    assert study.protocol_file.name == "plan.json"
    assert study.protocol.judgements == 7
    text = study.protocol_file.read_text()
    study.protocol_file.write_text(text.replace('"judgements": 7', '"judgements": 2'))
    with pytest.raises(
        StudyError, match=r"were changed after the study was made: put plan\.json and"
    ):
        Study.find(study.folder)
    study.protocol_file.write_text(text)
    assert Study.find(study.folder).digest == study.digest
    study.comparisons_file.write_text(study.comparisons_file.read_text().replace("piece", "peace"))
    with pytest.raises(StudyError, match="were changed after the study was made"):
        Study.find(study.folder)


def test_it_is_simulated_further(tmp_path):
    study = old_study("simulated", tmp_path)
    (before,) = read_simulations(study)
    assert before.settings.strengths == {"reference": 1.2, "hyperfitted · greedy": 0.7}
    assert before.judgements == 154
    made = simulate(study, 3, SimulationSettings(strengths={"original · greedy": 1.0}), seed=1)
    assert made.judgements > 0
    assert read_simulations(study) == (before, made)
    with open_store(study) as store:
        rows = store.judgements()
    assert len(rows) == 154 + made.judgements
    assert {row.study for row in rows} == {study.digest}
    assert {row.arm_first for row in rows} == {
        "hyperfitted · greedy",
        "original · greedy",
        "reference",
        "shuffled",
    }
    assert main(["preference", "analyse", str(study.folder), "--draws", "50"]) == 0


def test_people_go_on_in_their_browsers_and_a_model_too(tmp_path):
    study, tokens = old_study("judged", tmp_path), old_tokens()
    assert study.is_admin(tokens["admin"])
    with open_store(study) as store:
        app, before = make_app(study, store), len(store.judgements())
        reader, newcomer, admin = Visitor(app), Visitor(app), Visitor(app)
        assert reader.get(f"/i/{tokens['used']}").url.path == "/judge"
        assert reader.answer("first").url.path == "/judge"
        newcomer.begin(tokens["unused"])
        newcomer.answer("equal")
        assert admin.sign_in(tokens["admin"]).status_code == 200
        assert "hyperfitted · greedy" in admin.page.text
        (judge,) = store.llm.judges()
        left = [
            row for row in study.comparisons() if row.id not in store.llm.judged(judge.annotator)
        ]
        store.llm.submit(
            judge.annotator,
            left[0].id,
            (Reply(True, "first", "A", 1.0), Reply(False, "second", "B", 1.0)),
        )
        assert len(store.judgements()) == before + 3
    assert len(invite(study, 2)) == 2


def test_a_setting_added_later_locks_no_study_out(tmp_path, monkeypatch):
    class LaterProtocol(Protocol):
        added: int = 3

    old, new = old_study("simulated", tmp_path), studies.study(tmp_path)
    monkeypatch.setattr(study_module, "Protocol", LaterProtocol)
    for study in (old, new):
        found = Study.find(study.folder)
        assert found.protocol.added == 3
        assert found.digest == study.digest
        with open_store(found) as store:
            assert store.progress().comparisons
