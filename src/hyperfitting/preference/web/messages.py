"""What a page says instead of what was asked for. The words are ids of the catalogues; those for
the admin are English only.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from hyperfitting.errors import Reason
from hyperfitting.preference.languages import gettext_noop
from hyperfitting.preference.records import AnnotatorState


class PageMessage(NamedTuple):
    """A page of one message. `back`: it offers the way back to where the reader stands."""

    status: int
    title: str
    text: str
    back: bool = True


MessageName = Literal[
    "needs_link",
    "no_cookie",
    "needs_sign_in",
    "not_ours",
    "another_visit",
    "unread",
    "too_many_requests",
    "too_many_links",
    "no_open_link",
    "no_page",
    "not_taken",
    "invalid_form",
    "impossible",
    "our_failure",
    "goodbye",
    "not_now",
    "too_many_tokens",
    "wrong_token",
    "no_annotator",
    "no_invitation",
    "no_reason",
]
"""The messages that are no refusals of the store."""

MESSAGES: dict[MessageName | Reason, PageMessage] = {
    "needs_link": PageMessage(
        401,
        gettext_noop("Please open your link"),
        gettext_noop(
            "This page needs the personal link that you were given. Open it again in this browser, "
            "with cookies allowed."
        ),
    ),
    "no_cookie": PageMessage(
        401, "Please begin again", "This form needs a cookie of ours: allow cookies, and go back."
    ),
    "needs_sign_in": PageMessage(
        401,
        "Please sign in",
        "This page is for whoever runs the study: it needs the admin's token.",
    ),
    "not_ours": PageMessage(
        403,
        gettext_noop("That form is not ours"),
        gettext_noop("It came from elsewhere or is too old. Go back and try again."),
    ),
    "another_visit": PageMessage(
        403,
        gettext_noop("Another link was opened in this browser"),
        gettext_noop(
            "The page that you sent belongs to somebody else than the link that was opened last. "
            "Nothing was taken. To go on with your own part, open your own link again."
        ),
        back=False,
    ),
    "unread": PageMessage(
        409,
        gettext_noop("That was very quick"),
        gettext_noop(
            "It came before the page could be read, as a double click does, so nothing was taken "
            "and nothing is lost. Go back and choose again, with one click."
        ),
    ),
    "too_many_requests": PageMessage(
        429,
        gettext_noop("That was very fast"),
        gettext_noop("Wait a few seconds, then reload this page. Nothing is lost."),
    ),
    "too_many_links": PageMessage(
        429,
        gettext_noop("Too many wrong links"),
        gettext_noop("Wait a minute, then open your link again."),
    ),
    "no_open_link": PageMessage(
        404,
        gettext_noop("There is no open link"),
        gettext_noop("This study is by personal invitation. Open the link that you got."),
    ),
    "no_page": PageMessage(
        404,
        gettext_noop("No such page"),
        gettext_noop("The study has no page at this address."),
    ),
    "not_taken": PageMessage(
        409,
        gettext_noop("The study cannot take this"),
        gettext_noop("Tell whoever runs it: the server's log says why."),
    ),
    "invalid_form": PageMessage(
        422,
        gettext_noop("That was not understood"),
        gettext_noop("Go back, fill in what is missing, and send it again."),
    ),
    "impossible": PageMessage(
        400,
        gettext_noop("That is not possible"),
        gettext_noop("Go back to the study and try again."),
    ),
    "our_failure": PageMessage(
        500,
        gettext_noop("Something went wrong on our side"),
        gettext_noop(
            "Nothing that was confirmed is lost. Go back to the study and try again; if it happens "
            "twice, tell us."
        ),
    ),
    "goodbye": PageMessage(
        200,
        gettext_noop("You have withdrawn"),
        gettext_noop(
            "Whatever could tell who you are was deleted, and none of your answers is used. You "
            "can close this page."
        ),
        back=False,
    ),
    "not_now": PageMessage(409, "That is not possible", ""),
    "too_many_tokens": PageMessage(429, "Too many wrong tokens", "Wait a minute, then try again."),
    "wrong_token": PageMessage(
        403,
        "That is not the admin's token",
        "Check that the whole token was copied, and try again.",
    ),
    "no_annotator": PageMessage(404, "No such annotator", "Nobody in this study has that number."),
    "no_invitation": PageMessage(
        404, "No such invitation", "There is no invitation of that number."
    ),
    "no_reason": PageMessage(
        422, "A reason is needed", "It is kept with the answers and stands in the report."
    ),
    # The store refuses.
    "unknown": PageMessage(
        403,
        gettext_noop("This link is not valid"),
        gettext_noop("Check that the whole link was copied, or ask for a new one."),
        back=False,
    ),
    "expired": PageMessage(
        410,
        gettext_noop("This link has expired"),
        gettext_noop("It was valid for a limited time. Ask whoever sent it for a new one."),
        back=False,
    ),
    "revoked": PageMessage(
        403,
        gettext_noop("This link was withdrawn"),
        gettext_noop("Whoever runs the study has taken it back. Ask them for a new one."),
        back=False,
    ),
    "paused": PageMessage(
        503,
        gettext_noop("The study is paused"),
        gettext_noop("Your answers are safe. Come back later with the same link."),
    ),
    "full": PageMessage(
        409,
        gettext_noop("The study has enough people"),
        gettext_noop("Thank you for your interest; nobody else is needed now."),
        back=False,
    ),
    "withdrawn": PageMessage(
        410,
        gettext_noop("You have withdrawn"),
        gettext_noop("Your answers were deleted. Thank you for your time."),
        back=False,
    ),
    "failed": PageMessage(
        403,
        gettext_noop("The test was not passed"),
        gettext_noop("There is nothing more to do. Thank you for trying."),
    ),
    "unready": PageMessage(
        409,
        gettext_noop("One step is missing"),
        gettext_noop("Consent and the short test come first."),
    ),
    "not_theirs": PageMessage(
        403,
        gettext_noop("That is not your comparison"),
        gettext_noop("It was given to somebody else. Go back to the study."),
    ),
    "answered": PageMessage(
        409,
        gettext_noop("That was answered already"),
        gettext_noop("Your first answer is kept. Go back to the study."),
    ),
    "no_undo": PageMessage(
        409,
        gettext_noop("There is nothing to take back"),
        gettext_noop("Only the last answer can be taken back, and only once."),
    ),
    "excluded": PageMessage(
        403,
        gettext_noop("You cannot go on"),
        gettext_noop("Whoever runs the study has ended your part in it. They can tell you why."),
    ),
}

ENDINGS: dict[AnnotatorState, PageMessage] = {
    "finished": PageMessage(
        200,
        gettext_noop("Thank you"),
        gettext_noop(
            "That was the last comparison. All your answers are kept; you can close this page."
        ),
    ),
    "failed": PageMessage(
        200,
        gettext_noop("Thank you for trying"),
        gettext_noop("The test was not passed, so there is nothing more to do."),
    ),
    "excluded": PageMessage(
        200,
        gettext_noop("Thank you"),
        gettext_noop("There is nothing more for you to do here. You can close this page."),
    ),
}
