"""One real novel as a .txt, with and without blank lines, through `check` and `run` with the
shipped model.
"""

from __future__ import annotations

import json
import lzma
import re
from itertools import pairwise

import pytest

from hyperfitting import pipeline
from hyperfitting.cli.text import check_lines
from hyperfitting.models import load_codec
from hyperfitting.progress import Console
from hyperfitting.recipe import parse_recipe
from hyperfitting.stages.check import check_recipe
from tests.support.corpora import DATA

NOVELS = DATA / "text" / "pretrain" / "fiction_novels.jsonl.xz"
TITLE = "Rosary"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not NOVELS.is_file(),
        reason="the novels are not here: set HYPERFITTING_DATA to their folder",
    ),
]


def cut_novel(path, *, blank_lines):
    with lzma.open(NOVELS, "rt", encoding="utf-8") as file:
        text = next(row["text"] for row in map(json.loads, file) if row["title"] == TITLE)
    path.write_text(text if blank_lines else re.sub(r"\n\s*\n", "\n", text), encoding="utf-8")
    return path.read_text(encoding="utf-8")


def recipe_of(path):
    return parse_recipe(
        {
            "name": "novel",
            "model": {"source": "asset:reference-lm"},
            "data": {
                "train": {"path": str(path)},
                "blocks": "passages",
                "shares": [0.9, 0.05, 0.05],
                "train_blocks": 540,
                "validation_blocks": 16,
                "domains": [{"name": "own", "count": 16}],
            },
            "train": {"learning_rate": 2e-3, "epochs": 1},
            "probe": {"contexts": 4, "new_tokens": 96},
            "generate": {"new_tokens": 96},
            "measure": {"bootstrap_draws": 200},
        },
        source="test",
    )


@pytest.mark.parametrize("blank_lines", [True, False])
def test_a_novel_is_trained_on_and_held_out(tmp_path, blank_lines):
    text = cut_novel(tmp_path / "novel.txt", blank_lines=blank_lines)
    recipe = recipe_of(tmp_path / "novel.txt")
    print("\n" + check_lines(check_recipe(recipe, tmp_path / "out")))
    experiment = pipeline.run(recipe, tmp_path / "out", progress=Console())
    codec, shares, spans = load_codec(recipe.model), {}, []
    for each in experiment.manifest.sets:
        parts = [
            codec.decode(ids).rstrip("\ufffd")
            for ids in experiment.blocks(each.name).ids_NT.tolist()
        ]
        places = sorted((text.index(part), text.index(part) + len(part)) for part in parts)
        assert all(one[1] <= other[0] for one, other in pairwise(places))
        shares[each.name] = sum(end - start for start, end in places) / len(text)
        assert each.passages.taken_characters / len(text) == pytest.approx(
            shares[each.name], abs=1e-3
        )
        spans.append((places[0][0], places[-1][1]))
    assert spans[0][1] <= spans[1][0] < spans[1][1] <= spans[2][0]
    assert shares["train"] > 0.8
    first = codec.decode(experiment.blocks("train").ids_NT[0].tolist())
    start = text.index(first)
    print(
        {name: f"{share:.1%}" for name, share in shares.items()},
        f"unused {1 - sum(shares.values()):.1%}",
    )
    print(
        f"block 0:\n{first}\n\nthe book from character "
        f"{start}:\n{text[start : start + len(first) + 80]}"
    )
