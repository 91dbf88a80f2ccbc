"""The steps of an annotator in a real browser, as tests take them again and again."""

from __future__ import annotations

from typing import Any


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
