"""What the command line does, in a notebook: one call for each verb, data back, nothing printed."""

import pytest

from hyperfitting.cli.preference_options import TABLE_NAMES
from hyperfitting.errors import StudyError
from hyperfitting.preference.analysis.power import power_of_grid
from hyperfitting.preference.design.create import create_study, preview_study
from hyperfitting.preference.judges.simulated import SimulationSettings, simulate
from hyperfitting.preference.protocol import Protocol
from hyperfitting.preference.settings_tables import preference_table
from hyperfitting.preference.store.judgement_files import export_judgements, read_judgements
from hyperfitting.preference.store.links import invite, list_invitations, revoke_invitation
from hyperfitting.preference.study import Study
from hyperfitting.report.preference.study import report_preference
from tests.support import studies


def test_every_verb_is_a_call_that_prints_nothing(tmp_path, capsys):
    runs = [studies.experiment(tmp_path / "e")]
    protocol = Protocol(name="notebook", per_domain=3, items=12)
    preview = preview_study(runs, protocol)
    assert [pair.by_domain for pair in preview.pairs] == [{"fiction": 3, "news": 3}] * 4
    created = create_study(runs, tmp_path / "s", protocol)
    assert created.preview == preview
    study = Study.find(tmp_path / "s")
    assert study.is_admin(created.admin_token)
    later = study.renew_admin_token()
    assert (study.is_admin(later), study.is_admin(created.admin_token)) == (True, False)
    links = invite(study, 2, base_url="https://x.example/", label="class")
    assert all(link.startswith("https://x.example/i/") for link in links)
    revoke_invitation(study, 1)
    assert [(each.id, each.label, each.revoked) for each in list_invitations(study)] == [
        (1, "class", True),
        (2, "class", False),
    ]
    made = simulate(study, 4, SimulationSettings())
    exported = export_judgements(study, tmp_path / "rows.csv")
    assert exported.rows == made.judgements == len(read_judgements(exported.file)) > 0
    report = report_preference(study.folder, draws=50)
    assert report.page.is_file()
    assert report.banner.startswith("Simulated judgements.")
    assert len(report.headlines) == 4
    assert report.protocol_checks[0].what == "version"
    (power,) = power_of_grid(contexts=[60], annotators=[12], judgements=[3], studies=50)
    assert 0 < power.half_width < power.half_width_90 < 0.5
    assert all(preference_table(name).startswith("| ") for name in TABLE_NAMES)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


def test_a_report_in_a_taken_place_is_refused_before_any_work(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(StudyError, match="holds something else than a report"):
        report_preference(tmp_path / "no study", out=tmp_path / "mine")
