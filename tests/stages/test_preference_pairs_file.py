"""Any pairs of texts, from a file, as a study that collects and is analysed like any other."""

import codecs
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hyperfitting.cli import main
from hyperfitting.errors import DataError, StudyError
from hyperfitting.preference.analysis.analyse import analyse_judgements
from hyperfitting.preference.design.create import create_study, preview_study, read_protocol
from hyperfitting.preference.design.pairs_file import read_columns, read_pairs
from hyperfitting.preference.protocol import Protocol
from hyperfitting.preference.store import open_store
from hyperfitting.preference.study import Study
from hyperfitting.preference.web.app import make_app
from tests.support import studies
from tests.support.visitors import Visitor

HEAD = "context,a,b,arm_a,arm_b,domain,group,id\n"
ROW = "Why is the sky blue?,Because of the air that scatters it,No idea at all,m1,m2,sky,g1,x1\n"
MANY = "a,b\n" + "".join(
    f"The first text number {n} is so,The other text number {n} was not\n" for n in range(12)
)


def file(tmp_path, text, name="pairs.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def scored(study):
    return [row for row in study.comparisons() if row.kind == "scored"]


def made(tmp_path, text, name="pairs.csv", columns=None, **settings):
    path, protocol = file(tmp_path, text, name), Protocol(name="x", **settings)
    return create_study([path], tmp_path / "s", protocol, columns=columns)


def test_every_column_is_used_where_it_is_there(tmp_path):
    (row,) = read_pairs(file(tmp_path, HEAD + ROW)).pairs
    assert (row.context, row.texts[1]) == ("Why is the sky blue?", "No idea at all")
    assert (row.arms, row.domain, row.group, row.id) == (("m1", "m2"), "sky", "g1", "x1")
    (shown,) = scored(made(tmp_path, HEAD + ROW).study)
    assert (shown.id, shown.domain, shown.group, shown.context) == ("x1", "sky", "g1", "sky-0")
    assert (shown.one.arm, shown.one.text, shown.one.tokens) == (
        "m1",
        "Because of the air that scatters it",
        7,
    )


def test_two_columns_are_enough(tmp_path):
    study = made(tmp_path, MANY).study
    assert len(scored(study)) == 12
    row = scored(study)[0]
    assert (row.one.arm, row.other.arm, row.context_text, row.domain) == ("a", "b", "", "pairs")
    assert row.group == row.context
    assert len({row.context for row in scored(study)}) == 12
    assert study.protocol.pairs == "given"
    assert study.facts.file.columns == {"a": "a", "b": "b"}
    assert len(study.facts.file.sha256) == 64
    checks = [row for row in study.comparisons() if row.kind == "attention"]
    assert checks
    assert {row.other.arm for row in checks} == {"shuffled"}


def test_other_columns_by_name(tmp_path):
    text = 'Prompt, GPT ,llama,extra\n"Say, why?",yes it is,no it is not,1\n'
    columns = read_columns(["context=prompt", "a=GPT", "b = llama"])
    (row,) = read_pairs(file(tmp_path, text), columns).pairs
    assert (row.context, row.texts) == ("Say, why?", ("yes it is", "no it is not"))
    assert row.arms == ("GPT", "llama")
    nested = {"data": {"prompt": "p"}, "out": [{"t": "one"}, {"t": "two"}]}
    columns = read_columns(["context=data.prompt", "a=out.0.t", "b=out.1.t"])
    (row,) = read_pairs(file(tmp_path, json.dumps(nested), "p.jsonl"), columns).pairs
    assert (row.context, row.texts) == ("p", ("one", "two"))


@pytest.mark.parametrize(
    "data",
    [
        (HEAD + ROW).encode(),
        codecs.BOM_UTF8 + (HEAD + ROW).encode(),
        (HEAD + ROW).encode("utf-16"),
        codecs.BOM_UTF16_BE + (HEAD + ROW).encode("utf-16-be"),
        (HEAD + ROW).replace(",", ";").replace("\n", "\r\n").encode(),
        (HEAD + ROW).replace(",", "\t").encode(),
        (HEAD + ROW).upper().split("\n")[0].encode() + b"\n" + ROW.encode(),
    ],
)
def test_a_spreadsheets_file_is_read_however_it_is_saved(tmp_path, data):
    assert (
        read_pairs(file(tmp_path, data)).pairs
        == read_pairs(file(tmp_path, HEAD + ROW, "q.csv")).pairs
    )


def test_texts_of_several_lines_with_commas_and_quotes_stay_as_they_are(tmp_path):
    text = 'a,b\r\n"one, two\r\n\r\n  ""three"" “four”","x = [1]\n    # **y**"\r\n'
    (row,) = scored(made(tmp_path, text).study)
    assert row.one.text == 'one, two\n\n  "three" “four”'
    assert row.other.text == "x = [1]\n    # **y**"


def test_markup_is_removed_where_the_protocol_says_so(tmp_path):
    design = made(tmp_path, "a,b\n<b>one</b> two,three\n", clean="markup")
    assert scored(design.study)[0].one.text == "one two"
    assert (design.preview.cleaning.texts_with_losses, design.preview.cleaning.texts) == (1, 2)
    assert design.study.facts.cleaning.characters_removed == 7


def test_everything_that_is_wrong_is_told_at_once(tmp_path):
    text = (
        HEAD
        + "c,one,two,m1,m2,d,g,1\n"
        + "c,,two,m1,m2,d,g,2\n"
        + "c,one,  ,m1,m1,d,g,1\n"
        + ",one,two,m1,,all,g,3-again\n"
        + "c,one,two,shuffled,m2,d,g,4,too,many\n"
    )
    with pytest.raises(StudyError) as caught:
        read_pairs(file(tmp_path, text))
    said = str(caught.value)
    assert "\n" not in said
    for words in (
        "a is empty (row 2)",
        "b is empty (row 3)",
        "arm_a and arm_b are the same (row 3)",
        "context is empty (row 4)",
        "arm_b is empty (row 4)",
        "domain is 'all', which stands for every domain in the report (row 4)",
        "id ends in '-again', as only repeats do (row 4)",
        "more fields than the header names",
        "the id '1' stands in several rows (rows 1, 3)",
        "correct or remove these rows",
    ):
        assert words in said
    assert not (tmp_path / "s").exists()


def test_a_long_list_of_rows_is_shortened(tmp_path):
    with pytest.raises(StudyError, match=r"b is empty \(rows 1, 2, .*, 20 and 80 more\): correct"):
        read_pairs(file(tmp_path, "a,b\n" + "one,\n" * 100))


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        (
            "prompt,x\n1,2\n",
            "p.csv",
            r"no column for 'a' and 'b'; there are: prompt, x; name yours",
        ),
        ("a,b\n", "p.csv", "no pair in it"),
        ("a,b\n,\n ,\n", "p.csv", "no pair in it"),
        ("", "p.csv", "no pair in it"),
        ("sep=;\na;b\n1;2\n", "p.csv", "remove the first line, 'sep=', which only Excel reads"),
        ("a,a,b\nx,y,z\n", "p.csv", r"the field 'a' holds list, not text \(row 1\)"),
        ("a and b", "p.txt", r"pairs are read from \.csv, \.tsv, \.jsonl, \.json files"),
        ('{"a": 1, "b": null}\n', "p.jsonl", r"'a' holds int, not text \(row 1\); b is empty"),
        ('[1]\n{"a": "x", "b": "y"}\n', "p.jsonl", r"not a JSON object.*\(row 1\)"),
        ("not json\n\nnor this\n", "p.jsonl", r"not JSON \(rows 1, 3\)"),
        ('{"a": "\\ud800", "b": "y"}\n', "p.jsonl", r"half of a surrogate pair.*\(row 1\)"),
    ],
)
def test_a_file_that_holds_no_pairs(tmp_path, text, name, words):
    with pytest.raises(StudyError, match=words):
        read_pairs(file(tmp_path, text, name))


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="quotation mark is not closed"):
        read_pairs(file(tmp_path, 'a,b\n"one,two\n'))
    with pytest.raises(DataError, match="not UTF-8"):
        read_pairs(file(tmp_path, "a,b\nß,ü\n".encode("latin-1")))
    with pytest.raises(DataError, match=r"gone\.csv: cannot be read: No such file"):
        preview_study([tmp_path / "gone.csv"], Protocol(name="x"))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (["c=x"], "--column c=x: write it as a=COLUMN; there are: context, a, b"),
        (["a"], "--column a: write it as"),
        (["a="], "--column a=: write it as"),
    ],
)
def test_columns_that_are_none(columns, words):
    with pytest.raises(StudyError, match=words):
        read_columns(columns)


def test_columns_that_are_not_there(tmp_path):
    path = file(tmp_path, "a,b\nx,y\n")
    with pytest.raises(StudyError, match=r"no column for --column context=q and --column a=z"):
        read_pairs(path, {"a": "z", "context": "q"})
    with pytest.raises(StudyError, match="the column 'a' is used for two things"):
        read_pairs(path, {"b": "a"})


def test_names_that_mean_something_else_are_not_taken_from_the_file(tmp_path):
    (row,) = read_pairs(file(tmp_path, "a,b\nx,y\n", "all.csv")).pairs
    assert row.domain == "pairs"  # "all" stands for every domain in the report
    path = file(tmp_path, "shuffled,b\nx,y\n")
    with pytest.raises(StudyError, match="the column 'shuffled' is 'shuffled', the arm of att"):
        read_pairs(path, {"a": "shuffled"})


def test_one_file_or_folders(tmp_path):
    path, folder = file(tmp_path, MANY), studies.experiment(tmp_path / "e", 2)
    with pytest.raises(StudyError, match="one file of pairs, or of folders"):
        preview_study([folder, path], Protocol(name="x"))
    with pytest.raises(StudyError, match="--column is for a file of pairs"):
        preview_study([folder], Protocol(name="x"), columns={"a": "x"})
    with pytest.raises(StudyError, match="runs give no pairs"):
        preview_study([folder], Protocol(name="x", pairs="given"))


def test_rows_that_cannot_be_compared_are_counted_by_number(tmp_path):
    text = (
        "context,a,b\nq,one two three,four five six\n,,\nq,the same,the same\n"
        "q,four five six,one two three\nq,one two three,four five six\nq,x,one two\n"
    )
    preview = made(tmp_path, text, shortest_tokens=2, attention_rate=0.0).preview
    assert preview.left_out == {
        "blank (row 2)": 1,
        "with the same text twice (row 3)": 1,
        "with the pair of an earlier row (row 5)": 1,
        "with a text of fewer than 2 words (row 6)": 1,
    }
    assert (preview.comparisons, preview.contexts) == (2, 1)
    with pytest.raises(StudyError, match="nothing is left to compare: 1 with the same text twice"):
        preview_study([file(tmp_path, "a,b\nx,x\n")], Protocol(name="x"))


def test_a_pair_has_the_same_side_of_the_score_in_every_row(tmp_path):
    text = "a,b,arm_a,arm_b\n" + "".join(
        f"text {n},other {n},{one},{two}\n"
        for n, (one, two) in enumerate(
            [("m", "k"), ("k", "m"), ("reference", "m"), ("m", "reference")]
        )
    )
    study = made(tmp_path, text, attention_rate=0.0).study
    assert {(row.one.arm, row.other.arm) for row in scored(study)} == {
        ("k", "m"),
        ("m", "reference"),
    }
    swapped = next(row for row in scored(study) if row.one.text == "other 0")
    assert (swapped.one.arm, swapped.other.text) == ("k", "text 0")
    chosen = {"pairs": (("m", "k"),)}
    preview = preview_study([tmp_path / "pairs.csv"], Protocol(name="x", **chosen))
    assert [(pair.one, pair.other) for pair in preview.pairs] == [("m", "k")]
    only = preview_study([tmp_path / "pairs.csv"], Protocol(name="x", pairs="reference"))
    assert [(pair.one, pair.other) for pair in only.pairs] == [("m", "reference")]
    with pytest.raises(StudyError, match="no row compares 'k' with 'reference'"):
        preview_study([tmp_path / "pairs.csv"], Protocol(name="x", pairs=(("k", "reference"),)))


def test_quotas_and_domains_make_sense_here_too(tmp_path):
    text = "a,b,domain\n" + "".join(
        f"one {n} {d},two {n} {d},{d}\n" for n in range(6) for d in ("news", "tales")
    )
    path = file(tmp_path, text)
    preview = preview_study([path], Protocol(name="x", per_domain={"news": 3}))
    assert preview.pairs[0].by_domain == {"news": 3}
    assert preview.checks == 0
    assert preview.protocol.attention_rate == 0  # no text has the words for one
    with pytest.raises(StudyError, match="attention checks need texts of some words"):
        preview_study([path], Protocol(name="x", attention_rate=0.1))
    with pytest.raises(StudyError, match=r"domains: there is no 'poems' in pairs\.csv"):
        preview_study([path], Protocol(name="x", domains=("poems",)))
    cut = made(tmp_path, MANY, tokens=3).study
    assert {row.one.text for row in scored(cut)} == {"The first text"}


def test_a_check_shows_the_better_known_text_and_no_id_is_taken_twice(tmp_path):
    text = MANY.replace("a,b", "a,reference,id").replace("not\n", "not,c{}\n")
    for number in range(12):
        text = text.replace("c{}", f"c{number + 1:02d}", 1)
    study = made(tmp_path, text, columns={"b": "reference"}, attention_rate=0.2).study
    ids = [row.id for row in study.comparisons()]
    assert len(set(ids)) == len(ids)
    assert {f"c{n + 1:02d}" for n in range(12)} <= set(ids)
    checks = [row for row in study.comparisons() if row.kind == "attention"]
    assert {row.one.arm for row in checks} == {"reference"}
    assert {row.id[:6] for row in checks} == {"check-"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of a file, collected by simulated annotators."""
    folder = tmp_path_factory.mktemp("pairs")
    command = ["preference", "create", str(file(folder, MANY)), "--out", str(folder / "s")]
    assert main(command) == 0
    assert main(["preference", "simulate", str(folder / "s"), "--annotators", "8"]) == 0
    return folder / "s"


def test_it_is_simulated_and_analysed_like_any_other(study):
    with open_store(Study.find(study)) as store:
        rows = store.judgements()
    found = analyse_judgements(rows, Study.find(study).comparisons(), draws=20)
    assert (found.shares[0].one, found.shares[0].other) == ("a", "b")
    assert (found.counts.comparisons, found.counts.judgements_each_least) == (12, 3)


def test_the_page_shows_the_two_texts_alone(tmp_path):
    study = made(tmp_path, MANY).study
    with open_store(study) as store:
        visitor = Visitor(make_app(study, store))
        visitor.begin(store.invitations.create(1)[0])
        assert len(visitor.shown()) == 2
        assert "Which text is better?" in visitor.page.text
        assert "The text begins" not in visitor.page.text
        assert re.search(r'Text <span class="side">A', visitor.page.text)
        assert visitor.answer("first").url.path == "/judge"
        assert len(store.judgements()) == 1


def test_create_says_what_it_found(tmp_path, capsys):
    path = file(tmp_path, MANY + ",\n")
    command = ["preference", "create", str(path), "--out", str(tmp_path / "s")]
    assert main([*command, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "pair     a against b: 12 pairs\n" in said
    assert "texts    12 contexts; both of a pair shown whole, words: 7 to 7, median 7\n" in said
    assert "cleaned  nothing: texts are shown as they were written\n" in said
    assert "left out 1 blank (row 13)\n" in said
    assert main([*command, "--column", "a=z"]) == 2
    assert "no column for --column a=z" in capsys.readouterr().err


def test_it_needs_neither_torch_nor_a_tokenizer(tmp_path):
    path = file(tmp_path, MANY)
    code = (
        "import sys; from pathlib import Path\n"
        "from hyperfitting.preference.design.create import create_study, read_protocol\n"
        f"create_study([Path({str(path)!r})], Path({str(tmp_path / 's')!r}),"
        " read_protocol(None, {}, out=Path('x')))\n"
        "assert not {'torch', 'transformers', 'tokenizers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert read_protocol(None, {}, out=Path("x")).pairs == "reference"
    assert Study.find(tmp_path / "s").protocol.pairs == "given"
