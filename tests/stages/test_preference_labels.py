"""The label of an invitation says who is who, wherever annotators are listed."""

import pytest
from sqlalchemy import update

from hyperfitting.preference.store import open_store
from hyperfitting.preference.store.database import annotators as annotator_table
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
