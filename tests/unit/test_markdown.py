"""Markdown in consent and instructions: marks are shown, nothing in it can act."""

import re

from hyperfitting.preference.wording import CONSENT, INSTRUCTIONS
from hyperfitting.web.markdown import markdown


def test_marks_headings_lists_and_links_are_shown():
    shown = markdown("# Who\n\n**We** ask.\n\n- one\n- two\n\n[Write](mailto:a@example.org)")
    assert "<h3>Who</h3>" in shown
    assert "<strong>We</strong>" in shown
    assert shown.count("<li>") == 2
    (link,) = re.findall(r"<a [^>]*>", shown)
    assert link == '<a href="mailto:a@example.org" rel="noopener noreferrer" target="_blank">'


def test_nothing_in_it_can_act():
    hostile = (
        "<script>alert(1)</script> <b onclick=x>b</b>\n\n<div>d</div>\n\n"
        "[j](javascript:alert(1)) [d](data:text/html,x) ![i](https://example.org/i.png)\n\n"
        "<javascript:alert(1)> [v](vbscript:x)\n\n[r]: javascript:alert(1)\n\n[r]"
    )
    shown = markdown(hostile)
    assert set(re.findall(r"<(\w+)", shown)) == {"p", "a"}
    assert re.findall(r'href="([^"]*)"', shown) == ["https://example.org/i.png"]


def test_the_default_texts_are_paragraphs():
    for text in (CONSENT, INSTRUCTIONS):
        blocks = text.split("\n\n")
        assert markdown(text) == "".join(f"<p>{block}</p>\n" for block in blocks)
