"""Recipes as files and command lines hold them: encodings, marks, broken syntax, and every problem
told at once.
"""

import codecs
import json
from pathlib import Path

import pytest

from hyperfitting.errors import RecipeError, StudyError
from hyperfitting.preference.design.create import read_protocol
from hyperfitting.recipe import load_recipe, parse_recipe, read_tree, shipped_recipes

SHIPPED = Path(load_recipe.__code__.co_filename).parent / "shipped"
TOML = (SHIPPED / "demo.toml").read_text(encoding="utf-8")


def told(path, overrides=()):
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, overrides)
    said = str(caught.value)
    assert "\n" not in said
    return said.removeprefix(f"{path}: ").removeprefix("not a readable recipe: ")


ENCODINGS = {
    "utf-8": (b"", "utf-8"),
    "utf-8 with a mark": (codecs.BOM_UTF8, "utf-8"),
    "utf-16-le with a mark": (codecs.BOM_UTF16_LE, "utf-16-le"),
    "utf-16-be with a mark": (codecs.BOM_UTF16_BE, "utf-16-be"),
    "utf-32 with a mark": (codecs.BOM_UTF32_LE, "utf-32-le"),
}


@pytest.mark.parametrize("case", ENCODINGS)
@pytest.mark.parametrize("ending", [".toml", ".json", ".JSON"])
@pytest.mark.parametrize("lines", ["\n", "\r\n", "\r"])
def test_a_recipe_in_any_marked_encoding_is_the_same_recipe(tmp_path, case, ending, lines):
    mark, encoding = ENCODINGS[case]
    text = (
        TOML
        if ending == ".toml"
        else json.dumps(json.loads(load_recipe("demo").canonical_json()), indent=1)
    )
    path = tmp_path / f"r{ending}"
    path.write_bytes(mark + text.replace("\n", lines).encode(encoding))
    assert load_recipe(path) == load_recipe("demo")


def test_a_protocol_with_a_mark_is_read_too(tmp_path):
    (tmp_path / "protocol.toml").write_bytes(codecs.BOM_UTF8 + b'name = "s"\njudgements = 5\n')
    assert read_protocol(tmp_path / "protocol.toml", {}).judgements == 5
    (tmp_path / "protocol.toml").write_bytes('name = "s"'.encode("utf-16-le"))
    with pytest.raises(
        StudyError,
        match=r"protocol\.toml: not a readable protocol: line 1 holds a NUL character: save the",
    ):
        read_protocol(tmp_path / "protocol.toml", {})


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        (
            "a.toml",
            'name = "caf\xe9"\n'.encode("latin-1"),
            "line 1 is not UTF-8: save the file as UTF-8",
        ),
        ("a.toml", b"seed = 1\nname = '\xff'\n", "line 2 is not UTF-8: save the file as UTF-8"),
        (
            "a.toml",
            b"seed = 1\nname = 'a\0b'\n",
            "line 2 holds a NUL character: save the file as UTF-8 text",
        ),
        (
            "a.json",
            "{}".encode("utf-16-be"),
            "line 1 holds a NUL character: save the file as UTF-8 text",
        ),
        ("a.toml", b"\xff\xfe\x00", "line 1 is damaged UTF-16: save the file as UTF-8"),
        ("a.toml", b"", "it holds no settings"),
        ("a.toml", b"# nothing\n", "it holds no settings"),
        (
            "a.toml",
            b"seed = 1\nname = demo\n",
            "line 2: the value is not TOML (texts stand in quotes, true and false",
        ),
        ("a.toml", b"seed = 1\nseed = 2\n", "line 2: this is set twice: seed = 2"),
        (
            "a.toml",
            b"[train]\nepochs = 1\n[train]\nupdates = 2\n",
            "line 3: this section is there already: [train]",
        ),
        ("a.toml", b"[train\nepochs = 1\n", "line 1: it is not TOML: [train"),
        ("a.toml", b"epochs 1\n", "line 1: a setting is written key = value: epochs 1"),
        (
            "a.toml",
            b"seed = 1 2\n",
            "line 1: something stands after the value (texts stand in quotes): seed = 1 2",
        ),
        (
            "a.toml",
            b'name = "a\n',
            'line 1: a text is not closed, or holds a control character: name = "a',
        ),
        ("a.toml", b'path = "C:\\Users"\n', 'line 1: it is not TOML: path = "C:\\Users"'),
        (
            "a.toml",
            b'path = "C:\\dir"\n',
            "line 1: write a backslash twice, or put the text in single quotes: path",
        ),
        ("a.toml", b"seed = [1", "line 1: a list is not closed: seed = [1"),
        ("a.toml", b"seed = " + b"9" * 5000, "a number has thousands of digits"),
        ("a.toml", b"seed = " + b"[" * 5000, "lists or tables are nested too deep"),
        ("a.toml", b"seed = 99999999999999999999", "seed is too large a number"),
        ("a.json", b'{"seed": ' + b"9" * 5000 + b"}", "a number has thousands of digits"),
        ("a.json", b"[" * 100_000, "lists or tables are nested too deep"),
        ("a.json", b'{"seed": 1,}', 'line 1, column 12, is not JSON: {"seed": 1,}'),
        ("a.json", b'{"seed": 1, "seed": 2}', "seed is set twice"),
        ("a.json", b'{"seed": NaN}', "NaN is no number that a setting takes"),
        ("a.json", b"[1]", "it holds list, not settings by name"),
        ("a.json", b'{"name": "\\ud800"}', "name holds bytes that are not UTF-8"),
        ("a.json", b'{"name": "a\\u0000b"}', "name holds a NUL character"),
        ("a.json", b'{"\\u0000": 1}', "a name holds a NUL character"),
        (
            "a.toml",
            b"seed = 2026-01-01",
            "seed = 2026-01-01: settings hold no dates or times, only texts in quotes",
        ),
        (
            "a.toml",
            b'based_on = "dmeo"',
            "based_on = 'dmeo': no such shipped recipe: demo, every-arm",
        ),
        ("a.toml", b'based_on = "demo"\n[data.domains]\ncount = 1', "data.domains = "),
        ("a.toml", b'based_on = "demo"\ndata = 3', "data = 3: a section is needed"),
    ],
)
def test_a_file_that_is_no_recipe_says_where_and_why(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    said = told(tmp_path / name)
    assert said.startswith(words), said
    assert not any(raw in said for raw in ("codec", "(at line", "Expecting", "Invalid", "char "))


def test_a_folder_is_no_recipe_but_may_hold_one(tmp_path):
    assert told(tmp_path) == f"{tmp_path} is a folder, not a recipe"
    (tmp_path / "recipe.json").write_text("{}")
    assert told(tmp_path) == f"{tmp_path} is a folder: its recipe is {tmp_path / 'recipe.json'}"


def test_a_value_in_several_lines_is_one_text():
    assert load_recipe("demo", ["description=one\nseed=3"]).description == "one\nseed=3"
    assert load_recipe("demo", ["description=one\nseed=3"]).seed == load_recipe("demo").seed


@pytest.mark.parametrize(
    "key",
    ["generate.strategies[1].top_p", "generate.strategies.1.top_p", "generate.strategies.01.top_p"],
)
def test_an_index_is_written_in_brackets_or_behind_a_dot(key):
    assert load_recipe("demo", [f"{key}=0.5"]).generate.strategies[1].top_p == 0.5


def test_overrides_by_key_are_those_that_are_typed():
    typed = load_recipe(
        "demo", ["train.epochs=3", "model.source=x", "generate.strategies[0].temperature=0.5"]
    )
    by_key = load_recipe(
        "demo",
        {"train.epochs": 3, "model.source": Path("x"), "generate.strategies.0.temperature": 0.5},
    )
    assert by_key == typed
    with pytest.raises(
        RecipeError,
        match=r"^generate\.strategies\[7\]: there is no '7' to set there: a list, indexed from 0",
    ):
        load_recipe("demo", {"generate.strategies[7]": {}})
    with pytest.raises(
        RecipeError, match=r"demo\.toml: train\.epochs = 2\.5: a whole number is needed"
    ):
        load_recipe("demo", {"train.epochs": 2.5})


def problems(tree):
    with pytest.raises(RecipeError) as caught:
        parse_recipe(tree, source="r")
    return str(caught.value).removeprefix("r: ")


def test_all_unknown_names_are_told_at_once_and_before_what_is_missing():
    assert problems(
        {"modle": {"source": "x"}, "nmae": "a", "train": {"epohcs": 1, "learning_rate": 1.0}}
    ) == (
        "train.epohcs is not a setting; did you mean train.epochs?; modle is not a setting; did "
        "you mean model?; nmae is not a setting; did you mean name?; data is not set"
    )


def test_a_setting_of_another_section_is_found_there(tree):
    tree["train"]["block_tokens"], tree["epochs"], tree["qwzx"] = 32, 3, 1
    assert problems(tree) == (
        "train.block_tokens is not a setting; did you mean data.block_tokens?; "
        "epochs is not a setting; did you mean train.epochs?; qwzx is not a setting"
    )


def test_many_problems_are_counted(tree):
    tree["seed"], tree["name"] = -1, "My run"
    tree["model"]["dtype"] = "float16"
    tree["train"] |= {"betas": [0.9], "epochs": "many"}
    assert problems(tree) == (
        'name = "My run": small letters, digits, - and _, beginning with a letter or digit; seed '
        '= -1: it must be at least 0; model.dtype = "float16": one of "float32", "bfloat16"; and '
        "2 more"
    )
    assert (
        problems({f"qzx{number}": 1 for number in range(40)} | tree).count("is not a setting") == 12
    )


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [
        (
            "train",
            "parameters",
            "qlora",
            '"all", "lora", "last:K" or "late-lora:K", where K layers are the last',
        ),
        (
            "train",
            "parameters",
            "all\n",
            '"all", "lora", "last:K" or "late-lora:K", where K layers are the last',
        ),
        (
            "train",
            "weight_decay",
            float("inf"),
            "train.weight_decay = inf: a finite number is needed",
        ),
        (
            "train",
            "learning_rate",
            float("nan"),
            "train.learning_rate = nan: a finite number is needed",
        ),
        ("train", "dropout", 1, "train.dropout = 1: true or false is needed"),
        ("train", "lora", 4, "train.lora = 4: a section is needed, such as { name = value }"),
        ("train", "betas", [0.1, 0.2, 0.3], "train.betas = [0.1, 0.2, 0.3]: at most 2 are taken"),
        ("generate", "strategies", [], "generate.strategies = []: at least 1 are needed"),
        (
            "generate",
            "strategies",
            "greedy",
            'generate.strategies = "greedy": a list is needed, such as [...]',
        ),
        ("model", "source", 3, "model.source = 3: a text in quotes is needed"),
        (
            "train",
            "stop",
            "now",
            'one of "end", "train-loss", "token-accuracy", "best-validation", "auto"',
        ),
    ],
)
def test_a_wrong_value_is_said_in_words(tree, section, key, value, words):
    tree[section][key] = value
    assert problems(tree).endswith(words)


def said_of(tree):
    try:
        parse_recipe(tree, source="r")
    except RecipeError as error:
        return str(error)
    return ""


WRONG = [None, True, -1, 1e400, "", "x" * 100, [], {}, [[[]]], {"x": "y"}, "a b"]


def test_no_message_shows_a_pattern_or_what_pydantic_says(tree):
    refusals = 0
    for section, settings in parse_recipe(tree, source="r").model_dump().items():
        keys = list(settings) if isinstance(settings, dict) else []
        for key in [*keys, None]:
            for value in WRONG:
                changed = json.loads(json.dumps(tree))
                if key is None:
                    changed[section] = value
                else:
                    changed.setdefault(section, {})[key] = value
                said = said_of(changed)
                refusals += bool(said)
                assert "\n" not in said
                shown = said.replace("data.chapter_pattern", "")
                assert not any(raw in shown for raw in ("^", "nput should", "pattern", "[type=")), (
                    said
                )
    assert refusals > 400


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_are_read_as_any_other(name):
    assert read_tree(SHIPPED / f"{name}.toml")
