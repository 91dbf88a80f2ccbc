"""The shipped texts: enough of them, long enough, and no two alike."""

import json
import re
from collections import defaultdict

import pytest

from hyperfitting.assets import asset_names, asset_path, local_path
from hyperfitting.errors import InputError
from hyperfitting.models import load_codec
from hyperfitting.recipe import load_recipe

LEAST = {"fiction": 96, "encyclopaedia": 14, "news": 14}


def tales(name):
    return [
        json.loads(line)
        for line in asset_path(f"asset:tales/{name}.jsonl").read_text("utf-8").splitlines()
    ]


ALL = [(name, row["title"], row["text"]) for name in LEAST for row in tales(name)]


@pytest.mark.parametrize("name", LEAST)
def test_there_are_enough_and_each_is_long_enough(name):
    rows, codec = tales(name), load_codec(load_recipe("demo").model)
    assert len(rows) >= LEAST[name]
    short = [row["title"] for row in rows if len(codec.encode(row["text"])) < 256]
    assert short == []


def test_titles_and_openings_differ():
    assert len({title for _, title, _ in ALL}) == len(ALL)
    assert len({tuple(text.split()[:3]) for _, _, text in ALL}) == len(ALL)


def test_no_two_share_a_run_of_eight_words():
    seen = defaultdict(set)
    for name, title, text in ALL:
        words = re.findall(r"\w+", text.lower())
        for start in range(len(words) - 7):
            seen[" ".join(words[start : start + 8])].add((name, title))
    assert {run: where for run, where in seen.items() if len(where) > 1} == {}


def test_they_are_plain_text():
    assert len(ALL) >= sum(LEAST.values())
    for _, title, text in ALL:
        assert text == text.strip(), title
        assert "  " not in text, title
        assert "\n\n" not in text, title


def test_assets_are_found_by_name_only():
    assert asset_names()[0] == "asset:reference-lm"
    assert local_path("asset:reference-lm").is_dir()
    for name in ("asset:nothing", "asset:../recipe.py", "asset:"):
        with pytest.raises(InputError, match=f"nothing named '{name}' ships"):
            asset_path(name)


def test_a_name_is_a_path_unless_it_can_only_be_a_hub_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert local_path("owner/name") is None
    assert local_path("name") is None
    for path in ("./name", "/name", "~/name", "a/b/c", "texts.jsonl", "owner/texts.txt.gz"):
        assert local_path(path) is not None
    (tmp_path / "owner" / "name").mkdir(parents=True)
    assert local_path("owner/name").is_dir()
