"""The label of an invitation says who is who, wherever annotators are listed."""

import codecs
import csv
import errno
import io

import pytest
from sqlalchemy import update

from hyperfitting.cli import main
from hyperfitting.errors import StudyError
from hyperfitting.preference.store import links, open_store
from hyperfitting.preference.store.database import annotators as annotator_table
from hyperfitting.preference.store.links import read_names
from hyperfitting.preference.web.app import make_app
from tests.support import studies
from tests.support.stores import table_rows
from tests.support.visitors import Visitor


@pytest.fixture
def study(tmp_path):
    return studies.study(tmp_path)


def test_it_reaches_the_annotators_row_and_both_pages_of_the_admin(study):
    token = study.renew_admin_token()
    with open_store(study) as store:
        (link,) = store.invitations.create(1, label="Anna from upstairs")
        who = store.annotators.enter(link).id
        assert [row.label for row in table_rows(store, annotator_table)] == ["Anna from upstairs"]
        assert store.progress().annotators[0].label == "Anna from upstairs"
        admin = Visitor(make_app(study, store))
        admin.sign_in(token)
        assert admin.page.text.count("Anna from upstairs") >= 2  # annotators and invitations
        assert "Anna from upstairs" in admin.get(f"/admin/annotators/{who}").text


def test_it_is_shown_of_annotators_who_came_before_it_was_kept_with_them(study):
    with open_store(study) as store:
        (link,) = store.invitations.create(1, label="Bert")
        store.annotators.enter(link)
        store.annotators.enrol("simulated", "robot")
        with store._context.database.writing() as connection:
            connection.execute(
                update(annotator_table)
                .where(annotator_table.c.invitation.is_not(None))
                .values(label=None)
            )
        assert [each.label for each in store.progress().annotators] == ["Bert", "robot"]


def test_it_goes_with_whoever_withdraws(study):
    with open_store(study) as store:
        (link,) = store.invitations.create(1, label="Carla")
        store.annotators.withdraw(store.annotators.enter(link).id)
        assert store.progress().annotators[0].label is None
        assert store.invitations.all()[0].label is None


NAMES = "Anna\n\n  Bert, from upstairs \n=Carla\nЖанна\n"


def test_each_name_on_a_list_gets_a_link_of_its_own(study, tmp_path, capsys):
    (tmp_path / "names.txt").write_bytes(codecs.BOM_UTF16_LE + NAMES.encode("utf-16-le"))
    command = ["preference", "invite", str(study.folder), "--names", str(tmp_path / "names.txt")]
    out = tmp_path / "links.csv"
    assert main([*command, "--url", "https://x.example", "--out", str(out)]) == 0
    assert f"links    4: {out}" in capsys.readouterr().out
    data = out.read_bytes()
    assert data.startswith(codecs.BOM_UTF8)  # or a spreadsheet takes it for another encoding
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert rows[0] == ["invitation", "name", "link"]
    assert [row[1] for row in rows[1:]] == ["Anna", "Bert, from upstairs", "'=Carla", "Жанна"]
    with open_store(study) as store:
        for number, name, link in rows[1:]:
            who = store.annotators.enter(link.removeprefix("https://x.example/i/"))
            (label,) = [each.label for each in store.progress().annotators if each.id == who.id]
            assert label == name.removeprefix("'")
            assert store.invitations.all()[int(number) - 1].annotator == who.id
    assert main([*command, "--out", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert out.read_bytes() == data
    with open_store(study) as store:
        assert len(store.invitations.all()) == 4  # nothing half done
    assert main(command) == 0
    assert capsys.readouterr().out.startswith(
        "\ufeffinvitation,name,link\r\n5,Anna,http://127.0.0.1"
    )


def test_without_a_file_of_the_links_nobody_is_invited(study, tmp_path, monkeypatch, capsys):
    (tmp_path / "names.txt").write_text(NAMES)
    out = tmp_path / "links.csv"

    def no_space(rows):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(links, "links_table", no_space)
    command = ["preference", "invite", str(study.folder), "--names", str(tmp_path / "names.txt")]
    assert main([*command, "--out", str(out)]) == 1
    assert "no space left on the disk" in capsys.readouterr().err
    with open_store(study) as store:
        assert store.invitations.all() == []
    assert list(tmp_path.glob("*links.csv*")) == []


@pytest.mark.parametrize(
    "options", [("--names", "n.txt", "--label", "x"), ("--names", "n.txt", "--count", "2")]
)
def test_options_that_say_two_things_are_refused(study, capsys, options):
    assert main(["preference", "invite", str(study.folder), *options]) == 2
    assert "leave --count and --label out" in capsys.readouterr().err
    assert main(["preference", "invite", str(study.folder), "--out", "x.csv"]) == 2
    assert "--out is for the links of --names" in capsys.readouterr().err


def test_names_come_from_a_table_too(tmp_path):
    (tmp_path / "n.csv").write_text("Group; Name \nA;Anna\nB;Bert\n;\n")
    assert read_names(tmp_path / "n.csv") == ["Anna", "Bert"]


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("\n \n", "n.txt", "no name in it"),
        ("Anna\nBert\nAnna\n", "n.txt", r"change 'Anna' \(row 1\), 'Anna' \(row 3\)"),
        ("x" * 201, "n.txt", r"200 printable characters at most.*\(row 1\)"),
        ("first,last\nA,B\n", "n.csv", "no column 'name'; there are: first, last"),
    ],
)
def test_lists_that_do_not_say_who_is_who(tmp_path, text, name, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(StudyError, match=words):
        read_names(tmp_path / name)
