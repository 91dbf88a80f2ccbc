"""The folder of a study, and the database that belongs to it."""

import pytest

from hyperfitting.errors import StudyError
from hyperfitting.preference.store import open_store
from hyperfitting.preference.study import Study
from tests.support import studies


def test_a_study_is_found_as_it_was_made_and_never_overwritten(tmp_path):
    made = studies.study(tmp_path)
    found = Study.find(made.folder)
    assert found.comparisons() == studies.comparisons()
    assert found.protocol == studies.protocol()
    assert found.digest == made.digest
    with pytest.raises(StudyError, match="never overwritten"):
        studies.study(tmp_path)
    with pytest.raises(StudyError, match="holds no study"):
        Study.find(tmp_path)
    made.protocol_file.write_text(
        made.protocol_file.read_text().replace('"judgements": 3', '"judgements": 2')
    )
    with pytest.raises(StudyError, match="were changed after the study was made"):
        Study.find(made.folder)


def test_the_digest_names_plan_and_texts(tmp_path):
    first = studies.study(tmp_path / "1")
    same = studies.study(tmp_path / "2")
    other = studies.study(tmp_path / "3", judgements=4)
    texts = studies.study(tmp_path / "4", rows=studies.comparisons(5))
    assert first.digest == same.digest
    assert len({first.digest, other.digest, texts.digest}) == 3


def test_only_the_admins_token_opens_the_admins_page(tmp_path):
    made, token = Study.create(tmp_path / "s", studies.protocol(), studies.comparisons())
    with open_store(made) as store:
        assert store.study.is_admin(token)
        assert not store.study.is_admin(token[:-1])
        assert token not in made.facts_file.read_text()
        later = made.renew_admin_token()
        assert store.study.is_admin(later)
        assert not store.study.is_admin(token)


def test_a_database_of_another_study_is_refused(tmp_path, store_url, clock):
    open_store(studies.study(tmp_path / "1"), store_url, clock).close()
    other = studies.study(tmp_path / "2", judgements=4)
    theirs = store_url or f"sqlite:///{tmp_path / '1' / 'study' / 'study.sqlite'}"
    with pytest.raises(StudyError, match="the database holds another study"):
        open_store(other, theirs, clock)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nonsense", "is not a database URL"),
        ("mysql://x/y", "a study is kept in SQLite or PostgreSQL"),
        ("postgresql://tester:secret@127.0.0.1:9/none", "the study's database cannot be opened"),
        ("sqlite:////nowhere/at/all.sqlite", "the study's database cannot be opened"),
    ],
)
def test_a_database_that_cannot_be_had_is_one_line(tmp_path, address, words):
    with pytest.raises(StudyError, match=words) as caught:
        open_store(studies.study(tmp_path), address)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_damaged_database_is_one_line(tmp_path):
    made = studies.study(tmp_path)
    made.database_file.write_bytes(b"no database" * 100)
    with pytest.raises(StudyError, match="cannot be opened: file is not a database"):
        open_store(made)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("study.json", "{", r"study\.json is damaged: Invalid JSON"),
        ("study.json", "{}", r"study\.json is damaged: digest: Field required"),
        ("protocol.json", '{"name": "x"}', "were changed after the study was made"),
        ("comparisons.jsonl", None, "the study is damaged: .*No such file"),
    ],
)
def test_damaged_files_are_one_line(tmp_path, name, text, words):
    folder = studies.study(tmp_path).folder
    (folder / name).unlink() if text is None else (folder / name).write_text(text)
    with pytest.raises(StudyError, match=words) as caught:
        Study.find(folder)
    assert "\n" not in str(caught.value)


def test_facts_of_a_later_version_are_kept(tmp_path):
    study = studies.study(tmp_path)
    study.facts_file.write_text(study.facts_file.read_text().replace("{", '{"moods": 3,', 1))
    token = study.renew_admin_token()
    assert '"moods": 3' in study.facts_file.read_text().replace('"moods":3', '"moods": 3')
    assert Study.find(study.folder).is_admin(token)
