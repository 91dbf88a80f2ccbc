"""A model or a tokenizer of its own code is saved with it, and loads from what was saved."""

import json
import shutil
import sys

import pytest
import transformers

from tests.support.loading import load_both
from tests.support.own_code import OWN_TOKENIZER, make_own
from tests.support.saving import refused, save
from tests.support.tokenizers import POLICIES


@pytest.fixture
def own_modules(tmp_path, monkeypatch):
    """Where transformers keeps the code that it was given, for this test alone: what was loaded
    from there is forgotten with it.
    """
    monkeypatch.setattr(
        "transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules")
    )
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    yield
    for name in [name for name in sys.modules if name.startswith("transformers_modules")]:
        del sys.modules[name]


@pytest.fixture
def source(tmp_path, tiny_tokenizer, own_modules):
    return make_own(tmp_path / "model", tiny_tokenizer)


def use_own_tokenizer(source, code=OWN_TOKENIZER):
    (source / "tokenizer.json").unlink()
    (source / "own_tokenizer.py").write_text(code)
    about = {
        "tokenizer_class": "OwnTokenizer",
        "auto_map": {"AutoTokenizer": ["own_tokenizer.OwnTokenizer", None]},
    }
    (source / "tokenizer_config.json").write_text(json.dumps(about))


def test_a_model_of_its_own_code_is_saved_with_it(source, tmp_path):
    loaded = load_both(source, trust_remote_code=True)
    saved = save(loaded, tmp_path / "saved")
    shutil.rmtree(source)
    assert {"own_config.py", "own_model.py"} <= {each.name for each in saved.iterdir()}
    again = load_both(saved, trust_remote_code=True).model.state_dict()
    assert all(held.equal(again[name]) for name, held in loaded.model.state_dict().items())
    assert again["scale"].item() != 2.0  # the buffer's value comes from the file, not from the code


@pytest.mark.parametrize("policy", POLICIES)
def test_a_tokenizer_of_its_own_code_is_saved_with_it(source, tmp_path, policy):
    use_own_tokenizer(source)
    loaded = load_both(source, trust_remote_code=True, beginning_of_text=policy)
    saved = save(loaded, tmp_path / "saved")
    shutil.rmtree(source)
    elsewhere = transformers.AutoTokenizer.from_pretrained(saved, trust_remote_code=True)
    assert elsewhere("the river, 日")["input_ids"] == loaded.codec.encode("the river, 日")
    again = load_both(saved, trust_remote_code=True, beginning_of_text=policy)
    assert again.codec.fingerprint == loaded.codec.fingerprint


def test_the_fingerprint_of_a_tokenizer_of_its_own_code_knows_its_letters(source):
    use_own_tokenizer(source)
    before = load_both(source, trust_remote_code=True).codec.fingerprint
    use_letters = json.loads((source / "tokenizer_config.json").read_text()) | {
        "letters": "bacdefghijkl mnopqrstuvwxyz,."
    }
    (source / "tokenizer_config.json").write_text(json.dumps(use_letters))
    assert load_both(source, trust_remote_code=True).codec.fingerprint != before


def test_a_tokenizer_that_cannot_be_made_to_begin_texts_is_refused(source, tmp_path):
    ends = (
        "\n    def build_inputs_with_special_tokens(self, ids, more=None):\n        return [*ids, "
        "3]\n"
    )
    use_own_tokenizer(source, OWN_TOKENIZER + ends)
    message = refused(load_both(source, trust_remote_code=True), tmp_path / "saved")
    said = (
        "the saved tokenizer (OwnTokenizer) gives other ids than this one with "
        'model.beginning_of_text = "add"'
    )
    assert said in message
