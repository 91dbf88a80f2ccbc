"""Links of documents for readers who have only some of the files."""

import pytest

from hyperfitting import documents
from hyperfitting.documents import document_place, documents_folder, with_living_links

PAGE = "docs/howto/a.md"
THERE = {"docs/howto/b.md", "docs/c.md", "docs/picture.png"}


@pytest.mark.parametrize(
    "link",
    [
        "[b](b.md)",
        "[c](../c.md#a-part)",
        "![seen](../picture.png)",
        "[out](https://arxiv.org/abs/2412.04318)",
        "[below](#below)",
    ],
)
def test_a_link_that_leads_somewhere_stays(link):
    assert with_living_links(f"See {link}.", PAGE, THERE) == f"See {link}."


def test_without_a_public_address_a_dead_link_becomes_words():
    text = (
        "See [the\nclaims](../../results/claims.md#here), [`LOG.md`](../../LOG.md), ![a b](d.png)."
    )
    expected = "See the\nclaims (results/claims.md), `LOG.md`, a b."
    assert with_living_links(text, PAGE, THERE) == expected


def test_with_a_public_address_all_links_lead_there(monkeypatch):
    monkeypatch.setattr(documents, "PUBLIC_ADDRESS", "https://example.org/us")
    text = "[b](b.md), [claims](../../results/claims.md#here), ![a](d.png)"
    assert with_living_links(text, PAGE, THERE) == (
        "[b](b.md), [claims](https://example.org/us/blob/main/results/claims.md#here), "
        "![a](https://example.org/us/raw/main/docs/howto/d.png)"
    )
    assert document_place("reference/metrics.md") == (
        "https://example.org/us/blob/main/docs/reference/metrics.md"
    )


def test_a_page_is_named_in_words_that_hold_on_any_machine():
    assert not documents.PUBLIC_ADDRESS
    said = document_place("reference/metrics.md")
    assert said.startswith("reference/metrics.md of hyperfitting's documents")
    assert str(documents_folder()) not in said
    assert (documents_folder() / "reference" / "metrics.md").is_file()
