"""A headless Chromium, where there is one, and a study that is really served."""

import pytest

from tests.support.browsing import DESKTOP, chromium_program
from tests.support.serving import Place


@pytest.fixture(scope="module")
def chromium():
    """A browser; skips, with the reason, where none is found.

    It ends with the module, because playwright keeps an event loop running in this process, in
    which other tests could start none.
    """
    path = chromium_program()
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
        contexts.append(chromium.new_context(**{**DESKTOP, **options}))
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
