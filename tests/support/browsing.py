"""A real browser, and the steps in it that tests take again and again."""

from __future__ import annotations

import os
import shutil
from typing import Any

DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


def chromium_program() -> str | None:
    """The one that is named, or the lightest that is there: Debian's shell without windows takes
    a third less CPU time, and has the same engine.
    """
    if named := os.environ.get("HYPERFITTING_CHROMIUM"):
        return named
    programs = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, programs)), None)


def begin(page: Any, link: str | None) -> None:
    """From the link (none: from the page of consent) to the first comparison, by labels as a reader
    knows them.
    """
    if link is not None:
        page.goto(link)
    page.get_by_label("I agree to take part").check()
    page.get_by_role("button", name="Agree and go on").click()
    pass_test(page)


def pass_test(page: Any) -> None:
    for words in (
        "Which continuation is better?",
        "I read both and cannot choose",
        "set it by the window",
    ):
        page.get_by_label(words).check()
    page.get_by_role("button", name="Check my answers").click()
    page.wait_for_url("**/judge")


def number(page: Any) -> int:
    """Of the comparison that is shown."""
    return int(page.locator("label[for=progress] b").inner_text())


def at(page: Any, expected: int) -> None:
    page.locator("label[for=progress] b", has_text=str(expected)).wait_for()
    assert number(page) == expected


def settled(page: Any) -> None:
    """Until the page takes answers."""
    page.locator("html[data-settled]").wait_for(state="attached")


def press(page: Any, key: str) -> None:
    settled(page)
    page.keyboard.press(key)


def texts(page: Any) -> list[str]:
    return list(page.locator(".text").all_inner_texts())


def sign_in(page: Any, base: str, token: str) -> None:
    """To the page of the study's admin."""
    page.goto(f"{base}/admin")
    page.get_by_label("Admin token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def assert_accessible(page: Any, name: str) -> None:
    """axe finds nothing wrong, and the page is no wider than its window."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    assert [(name, each["id"], each["nodes"][0]["html"]) for each in found] == []
    sideways = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert (name, page.evaluate(sideways)) == (name, 0)
