"""The hook of mkdocs.yml: links of the repository hold on the site, and nothing else is changed."""

from __future__ import annotations

import pytest
from mkdocs.config import load_config
from mkdocs.structure.files import get_files
from mkdocs.structure.pages import Page

from pages.site import on_files, on_page_markdown
from tests.support.source import ROOT


@pytest.fixture(scope="module")
def config():
    return load_config(str(ROOT / "mkdocs.yml"))


@pytest.fixture(scope="module")
def files(config):
    return on_files(get_files(config), config)


@pytest.fixture
def shown(config, files):
    def on_site(name: str, text: str) -> str:
        page = Page(None, files.get_file_from_path(name), config)
        return on_page_markdown(text, page, config, files)

    return on_site


def test_files_outside_of_docs_have_their_place(files):
    names = {file.src_uri for file in files}
    assert names >= {"index.md", "CHANGELOG.md", "LOG.md", "CONTRIBUTING.md", "results/claims.md"}
    assert names >= {"results/every-arm.csv", "results/smollm2/rate.toml", "site/style.css"}
    assert "README.md" not in names


@pytest.mark.parametrize(
    ("page", "link", "there"),
    [
        ("index.md", "[a](../results/claims.md)", "[a](results/claims.md)"),
        ("explain/training.md", "[a](../../results/claims.md#x)", "[a](../results/claims.md#x)"),
        ("results/claims.md", "[a](../docs/papers.md)", "[a](../papers.md)"),
        ("results/claims.md", "[a](every-arm.csv)", "[a](every-arm.csv)"),
        ("CONTRIBUTING.md", "[a](docs/howto/studies.md)", "[a](howto/studies.md)"),
        ("LOG.md", "[a](README.md)", "[a](index.md)"),
        ("index.md", "![a](smollm2-texts.png)", "![a](smollm2-texts.png)"),
        ("howto/lora.md", "[two\nlines](gpus.md)", "[two\nlines](gpus.md)"),
        ("howto/lora.md", "[a](#here) [b](https://example.org)", None),
        (
            "explain/decoding.md",
            "see [rules](../../src/hyperfitting/decoding/rules.py)",
            "see rules",
        ),
        ("results/claims.md", "[smollm2/demo](smollm2/demo)", "smollm2/demo"),
        ("index.md", "[a](nowhere.md)", None),
        ("index.md", "```text\n[a](../results/claims.md)\n```\n", None),
    ],
)
def test_a_link_leads_to_the_place_on_the_site_or_is_its_text(shown, page, link, there):
    """None: unchanged. A link that is broken stays, and the strict build refuses it."""
    assert shown(page, link) == (link if there is None else there)


def test_a_list_begins_after_a_paragraph_as_on_github(shown):
    assert shown("index.md", "x\n\none\ntwo\n- a\n- b\n") == "x\n\none\ntwo\n\n- a\n- b\n"
    assert shown("index.md", "x\n\n- a\n  more\n- b\n") == "x\n\n- a\n  more\n- b\n"
