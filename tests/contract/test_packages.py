"""What stands around the code says the same as the code: metadata, citation, requirements,
container, and the pages that messages name.
"""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml

from hyperfitting.cli import main
from hyperfitting.documents import documents_folder
from tests.support.source import FILES, ROOT, SOURCE

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_the_citation_has_what_its_format_requires():
    assert {"cff-version", "message", "title", "authors"} <= set(CITATION)
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] == "software"
    for each in CITATION["references"]:
        assert {"type", "title", "authors"} <= set(each)
        assert all({"family-names"} <= set(author) for author in each["authors"])


def test_the_citation_is_of_this_project_and_names_the_paper():
    assert CITATION["title"] == PROJECT["name"]
    assert CITATION["version"] == PROJECT["version"]
    assert CITATION["license"] == PROJECT["license"]
    assert CITATION["authors"] == PROJECT["authors"]
    (paper,) = CITATION["references"]
    names = [author["family-names"] for author in paper["authors"]]
    assert names == ["Carlsson", "Liu", "Ward", "Kurfali", "Nivre"]
    assert paper["year"] == 2025
    papers = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")
    assert paper["identifiers"][0]["value"].removeprefix("arXiv:") in papers


def test_classifiers_say_what_the_readme_says():
    classifiers = PROJECT["classifiers"]
    least = PROJECT["requires-python"].removeprefix(">=")
    assert f"Programming Language :: Python :: {least}" in classifiers
    assert "Typing :: Typed" in classifiers
    assert (SOURCE / "py.typed").is_file()
    systems = {each.rsplit(" :: ", 1)[1] for each in classifiers if "Operating System" in each}
    assert systems == {"Linux", "MacOS"}
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"Linux or macOS, Python {least} or later" in readme


def test_the_readme_names_every_optional_part():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    extras = set(PROJECT["optional-dependencies"]) - {"all", "dev", "docs"}
    assert [extra for extra in sorted(extras) if f"`[{extra}]`" not in readme] == []


def test_requirements_are_one_line_that_installs_the_project():
    (line,) = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    found = re.fullmatch(r"--editable \.\[([\w,]+)\]", line)
    assert set(found[1].split(",")) <= set(PROJECT["optional-dependencies"])


def test_the_container_is_pinned_and_does_not_run_as_root():
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert 'ENTRYPOINT ["hyperfit"]' in lines
    assert [line for line in lines if line.startswith("USER ")] == ["USER 1000"]
    assert any("--constraint constraints.txt" in line for line in lines)
    sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert sent[0] == "*"
    missing = [each[1:] for each in sent if each[0] == "!" and not (ROOT / each[1:]).exists()]
    assert missing == []


NAMED = {
    (page, path)
    for path in [*FILES, *SOURCE.rglob("*.toml"), *SOURCE.rglob("*.j2"), *SOURCE.rglob("*.html")]
    for page in re.findall(
        r"((?:tutorial|howto|reference|explain)/[\w-]+\.md)", path.read_text(encoding="utf-8")
    )
}


@pytest.mark.parametrize(
    ("page", "path"), sorted(NAMED), ids=lambda each: getattr(each, "name", None)
)
def test_a_page_that_the_source_names_is_there(page, path):
    assert (documents_folder() / page).is_file(), path


def test_nothing_that_a_message_names_is_left_out_of_the_packages():
    """README, LOG and the like are in no wheel: what users see names none of them."""
    words = re.compile(r"\b(?:LOG|CHANGELOG|CONTRIBUTING|SECURITY)\.md\b|\bresults/\w+\.md\b")
    shown = [*SOURCE.rglob("*.toml"), *SOURCE.rglob("*.j2"), *SOURCE.rglob("*.html"), *FILES]
    assert [path for path in shown if words.search(path.read_text(encoding="utf-8"))] == []


def test_the_help_names_the_folder_of_the_documents(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert f"Documents: {documents_folder() / 'index.md'}\n" in capsys.readouterr().out
