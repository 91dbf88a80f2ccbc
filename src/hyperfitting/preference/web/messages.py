"""What a page says instead of what was asked for. The words are ids of the catalogues; those for
the admin are English only.
"""

from __future__ import annotations

from typing import NamedTuple

from hyperfitting.errors import Reason
from hyperfitting.preference.languages import gettext_noop
from hyperfitting.preference.records import AnnotatorState


class PageMessage(NamedTuple):
    """A page of one message. `back`: it offers the way back to where the reader stands."""

    status: int
    title: str
    text: str
    back: bool = True


NEEDS_LINK = PageMessage(
    401,
    gettext_noop("Please open your link"),
    gettext_noop(
        "This page needs the personal link that you were given. Open it again in this browser, "
        "with cookies allowed."
    ),
)
NO_COOKIE = PageMessage(
    401, "Please begin again", "This form needs a cookie of ours: allow cookies, and go back."
)
NEEDS_SIGN_IN = PageMessage(
    401, "Please sign in", "This page is for whoever runs the study: it needs the admin's token."
)
NOT_OURS = PageMessage(
    403,
    gettext_noop("That form is not ours"),
    gettext_noop("It came from elsewhere or is too old. Go back and try again."),
)
ANOTHER_VISIT = PageMessage(
    403,
    gettext_noop("Another link was opened in this browser"),
    gettext_noop(
        "The page that you sent belongs to somebody else than the link that was opened last. "
        "Nothing was taken. To go on with your own part, open your own link again."
    ),
    back=False,
)
UNREAD = PageMessage(
    409,
    gettext_noop("That was very quick"),
    gettext_noop(
        "It came before the page could be read, as a double click does, so nothing was taken and "
        "nothing is lost. Go back and choose again, with one click."
    ),
)
TOO_MANY_REQUESTS = PageMessage(
    429,
    gettext_noop("That was very fast"),
    gettext_noop("Wait a few seconds, then reload this page. Nothing is lost."),
)
TOO_MANY_LINKS = PageMessage(
    429,
    gettext_noop("Too many wrong links"),
    gettext_noop("Wait a minute, then open your link again."),
)
NO_OPEN_LINK = PageMessage(
    404,
    gettext_noop("There is no open link"),
    gettext_noop("This study is by personal invitation. Open the link that you got."),
)
NO_PAGE = PageMessage(
    404,
    gettext_noop("No such page"),
    gettext_noop("The study has no page at this address."),
)
NOT_TAKEN = PageMessage(
    409,
    gettext_noop("The study cannot take this"),
    gettext_noop("Tell whoever runs it: the server's log says why."),
)
INVALID_FORM = PageMessage(
    422,
    gettext_noop("That was not understood"),
    gettext_noop("Go back, fill in what is missing, and send it again."),
)
IMPOSSIBLE = PageMessage(
    400,
    gettext_noop("That is not possible"),
    gettext_noop("Go back to the study and try again."),
)
FAILED = PageMessage(
    500,
    gettext_noop("Something went wrong on our side"),
    gettext_noop(
        "Nothing that was confirmed is lost. Go back to the study and try again; if it happens "
        "twice, tell us."
    ),
)
GOODBYE = PageMessage(
    200,
    gettext_noop("You have withdrawn"),
    gettext_noop(
        "Whatever could tell who you are was deleted, and none of your answers is used. You can "
        "close this page."
    ),
    back=False,
)

TOO_MANY_TOKENS = PageMessage(429, "Too many wrong tokens", "Wait a minute, then try again.")
WRONG_TOKEN = PageMessage(
    403, "That is not the admin's token", "Check that the whole token was copied, and try again."
)
NO_ANNOTATOR = PageMessage(404, "No such annotator", "Nobody in this study has that number.")
NO_INVITATION = PageMessage(404, "No such invitation", "There is no invitation of that number.")
NO_REASON = PageMessage(
    422, "A reason is needed", "It is kept with the answers and stands in the report."
)

REFUSALS: dict[Reason, PageMessage] = {
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
