"""Whatever stands in a file of pairs, it becomes a study or one line says why not."""

import json
import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyperfitting.errors import HyperfittingError
from hyperfitting.preference.design.create import create_study
from hyperfitting.preference.design.pairs_file import read_pairs
from hyperfitting.preference.design.presentation import Presentation, truncate_alike
from hyperfitting.preference.design.units import shuffled_units, unit_ends
from hyperfitting.preference.protocol import Protocol
from hyperfitting.preference.study import Study
from tests.support.studies import continuation

CASES = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
COLUMNS = ("context", "a", "b", "arm_a", "arm_b", "domain", "group", "id")
LETTERS = "ab cde<>&;*_#[](){}\"',;\t\n\r=|`~/\x07\u200b\u200d\ufeff\ufffd“”…中文กำあ🫨é\u0301"
TEXTS = st.text(alphabet=st.one_of(st.sampled_from(LETTERS), st.characters()), max_size=40)
VALUES = st.one_of(TEXTS, st.none(), st.integers(0, 3), st.booleans(), st.lists(TEXTS, max_size=1))
ROWS = st.lists(st.dictionaries(st.sampled_from(COLUMNS), VALUES), max_size=6)
GOOD = st.lists(
    st.fixed_dictionaries({"a": TEXTS, "b": TEXTS}, optional={"context": TEXTS}), max_size=6
)


def study_of(path, folder, **settings_):
    """The study of a file, or None where one line says why there is none."""
    said = None
    try:
        found = read_pairs(path)
        made = create_study([path], folder, Protocol(name="x", **settings_)).study
    except HyperfittingError as error:
        said = str(error)
    if said is not None:
        assert "\n" not in said
        assert not folder.exists()
        return None
    scored = [row for row in made.comparisons() if row.kind == "scored"]
    assert 0 < len(scored) <= len(found.pairs)
    assert len({row.id for row in made.comparisons()}) == len(made.comparisons())
    assert all(row.one.text != row.other.text for row in made.comparisons())
    assert Study.find(folder).digest == made.digest
    return made


@CASES
@given(data=st.one_of(ROWS, GOOD), clean=st.sampled_from(["markup", "nothing"]))
def test_rows_of_any_values(tmp_path_factory, data, clean):
    folder = tmp_path_factory.mktemp("rows")
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in data), encoding="utf-8")
    study_of(path, folder / "s", clean=clean)


@CASES
@given(text=TEXTS, bytes_=st.binary(max_size=30), rows=st.lists(st.tuples(TEXTS, TEXTS)))
def test_files_of_any_content(tmp_path_factory, text, bytes_, rows):
    folder = tmp_path_factory.mktemp("bytes")
    body = "".join(f"{one},{other}\n" for one, other in rows)
    for number, data in enumerate(
        (bytes_, text.encode("utf-8", "replace"), b"a,b\n" + body.encode("utf-8", "replace"))
    ):
        for kind in ("csv", "jsonl", "json"):
            path = folder / f"pairs{number}.{kind}"
            path.write_bytes(data)
            study_of(path, folder / f"{kind}{number}")


@CASES
@given(raw=TEXTS, end=st.integers(0, 40), tokenized=st.booleans())
def test_any_text_is_cleaned_and_what_it_lost_is_counted(raw, end, tokenized):
    end = min(end, len(raw))
    for presentation in (Presentation("markup", tokenized), Presentation("nothing")):
        found = presentation.present(raw, end)
        assert 0 <= found.removed <= end
        assert 0 <= found.replaced <= end
        places = presentation.cleaned(raw).places
        assert places == sorted(places)
        assert set(places) <= set(range(len(raw)))
    assert found.removed == found.replaced == 0
    assert found.text in raw[:end]


@CASES
@given(parts=st.lists(TEXTS.filter(bool), min_size=2, max_size=9), most=st.integers(1, 9))
def test_both_texts_keep_one_length_and_end_between_units(parts, most):
    half = len(parts) // 2
    texts = [
        continuation("", pieces=tuple(some), ids=tuple(range(len(some))))
        for some in (parts[:half], parts[half:])
    ]
    cuts = truncate_alike(texts, most)
    if cuts is not None:
        assert cuts[0].tokens == cuts[1].tokens <= most
        assert all(0 < cut.ttr <= 1 for cut in cuts)


@CASES
@given(text=TEXTS)
def test_units_divide_a_text_and_a_shuffle_keeps_them(text):
    ends = unit_ends(text)
    assert ends == sorted(set(ends))
    assert not text or ends[-1] == len(text)
    mixed = shuffled_units(text, random.Random(1), fewest=2)
    assert mixed is None or (sorted(mixed) == sorted(text) and mixed != text)
