"""A headless Chromium, where there is one, and a study that is really served."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import pytest

from hyperfitting.preference.design.create import create_study
from hyperfitting.preference.store import open_store
from hyperfitting.preference.study import Study
from tests.support import studies
from tests.support.serving import Thread


def _chromium() -> str | None:
    """The one that is named, or the lightest that is there: Debian's shell without windows takes
    a third less CPU time, and has the same engine.
    """
    if named := os.environ.get("HYPERFITTING_CHROMIUM"):
        return named
    programs = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, programs)), None)


@pytest.fixture(scope="module")
def chromium():
    """A browser; skips, with the reason, where none is found.

    It ends with the module, because playwright keeps an event loop running in this process, in
    which other tests could start none.
    """
    path = _chromium()
    if path is None:
        pytest.skip(
            "no Chromium here: install Debian's package chromium-headless-shell, or name one in "
            "HYPERFITTING_CHROMIUM"
        )
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="needs playwright: pip install 'hyperfitting[dev]'"
    )
    with sync_api.sync_playwright() as playwright:
        # Debian's sandbox needs rights that root in a container has not.
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


DESKTOP = {"width": 1280, "height": 800}


class Place:
    """A study, its admin's token, and the server that shows it."""

    def __init__(self, folder: Path, rows=None, pairs: Path | None = None, **settings):
        plan, out = studies.protocol(**settings), folder / "study"
        if pairs is not None:
            made = create_study([pairs], out, plan)
            self.study, self.token = made.study, made.admin_token
        else:
            self.study, self.token = Study.create(out, plan, rows or studies.comparisons(12, 6))
        self.server = Thread(self.study)
        self.base = self.server.base

    def invite(self, count: int = 1) -> list[str]:
        with open_store(self.study) as store:
            return [f"{self.base}/i/{token}" for token in store.invitations.create(count)]

    def take_at_once(self) -> None:
        """For pages without scripts, on which a test cannot see when they may be answered."""
        app = self.server.app
        app.state.context = dataclasses.replace(app.state.context, unread_seconds=0.0)

    def judgements(self):
        with open_store(self.study) as store:
            return store.judgements()


@pytest.fixture
def serve(tmp_path):
    """A function that makes a study and serves it until the test ends."""
    places = []

    def begin(**settings):
        places.append(Place(tmp_path, **settings))
        return places[-1]

    yield begin
    for place in places:
        place.server.stop()


@pytest.fixture
def visit(chromium):
    """A function that opens a page in a fresh browser profile; at the end no page may have
    complained.
    """
    contexts, complaints = [], []

    def open_page(**options):
        contexts.append(chromium.new_context(**{"viewport": DESKTOP, **options}))
        contexts[-1].set_default_timeout(15_000)
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
        page.on(
            "console",
            lambda said: complaints.append(said.text) if "Content Security" in said.text else None,
        )
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
