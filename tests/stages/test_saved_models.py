"""What is saved writes elsewhere what it writes here, and takes no trained weights with it if it is
not the model.
"""

import json
import os
import re
import stat

import pytest
import transformers
from safetensors.torch import load_file

from hyperfitting.errors import ModelError
from hyperfitting.models import load_codec
from hyperfitting.recipe import ModelSettings, parse_recipe
from hyperfitting.stages.draw import draw_experiment
from hyperfitting.stages.train import train_experiment, train_run
from hyperfitting.writing import write
from tests.support.folders import edit_json
from tests.support.loading import load_both
from tests.support.recipes import tiny_tree
from tests.support.saving import NORM, change_weights, flip, make_vivid, save, spoiling
from tests.support.tokenizers import KINDS, POLICIES

HALF = "\N{REPLACEMENT CHARACTER}"
"""A character whose last bytes are still to come: `write` waits for them."""
PROMPT = "the river was"


def train_on(model, corpus, out, **settings):
    """A model after two updates, saved."""
    tree = tiny_tree(model, corpus)
    tree["model"] |= settings
    tree["train"] = {"learning_rate": 1e-3, "updates": 2, "batch_blocks": 4, "precision": "fp32"}
    return train_experiment(parse_recipe(tree, source="t"), out, device="cpu").run("hyperfitted")


def write_elsewhere(folder, prompt=PROMPT):
    """Ids that transformers' pipeline gives for a text, prompt included, with nothing set."""
    return transformers.pipeline("text-generation", model=str(folder))(prompt, return_tensors=True)[
        0
    ]["generated_token_ids"]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", KINDS)
def test_transformers_pipeline_writes_what_hyperfit_write_does(tmp_path, corpus, kind, policy):
    source = make_vivid(tmp_path / "model", KINDS[kind]())
    run = train_on(source, corpus, tmp_path / "out", beginning_of_text=policy)
    codec = load_codec(ModelSettings(source=str(source), beginning_of_text=policy))
    ours = "".join(write(run.folder, PROMPT, new_tokens=20, device="cpu"))
    context, ids = codec.encode(PROMPT), write_elsewhere(run.model_folder)
    assert ids[: len(context)] == context
    assert context.count(codec.tokenizer.bos_token_id) == (policy == "add")
    text = codec.decode(ids[: len(context) + 20])
    assert len(set(ids)) > 5
    assert text[len(codec.decode(context)) :].rstrip(HALF) == ours.rstrip(HALF)


@pytest.mark.parametrize("policy", POLICIES)
def test_the_shipped_model_writes_the_same_in_transformers_pipeline(tmp_path, corpus, policy):
    run = train_on("asset:reference-lm", corpus, tmp_path / "out", beginning_of_text=policy)
    prompt = "It was late when the carriage stopped, and"
    ours = "".join(write(run.folder, prompt, new_tokens=20, device="cpu"))
    theirs = transformers.pipeline("text-generation", model=str(run.model_folder))
    assert theirs(prompt, max_new_tokens=20)[0]["generated_text"].startswith(prompt + ours)
    assert theirs.tokenizer.model_max_length == 512


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_saved_tokenizer_begins_texts_by_itself(tmp_path, kind, policy):
    source = make_vivid(tmp_path / "model", KINDS[kind]())
    codec = load_both(source, beginning_of_text=policy).codec
    save(load_both(source, beginning_of_text=policy), tmp_path / "saved")
    loaded = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    for text in ("the river", "The  Léa 日本\n", ""):
        assert loaded(text)["input_ids"] == codec.encode(text)
    pair = loaded("the", "river")["input_ids"]
    assert pair == codec.encode("the") + codec.encode("river")[policy == "add" :]
    assert loaded.model_max_length == 128


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("metaspace", "LlamaTokenizer"),
        ("metaspace", "CodeLlamaTokenizer"),  # adds <s> whatever its file says
        ("byte_level", "GPTNeoXTokenizer"),  # never adds any
        ("byte_level", "RobertaTokenizer"),  # adds one at both ends
        ("word_piece", "BertTokenizer"),
    ],
)
def test_a_tokenizer_whose_class_has_a_will_of_its_own(tmp_path, kind, name, policy):
    tokenizer = KINDS[kind]()
    source = make_vivid(tmp_path / "model", tokenizer, vocab_size=len(tokenizer) + 9)
    edit_json(source / "tokenizer_config.json", tokenizer_class=name)
    both = load_both(source, beginning_of_text=policy)
    codec = both.codec
    assert type(codec.tokenizer).__name__ == name
    saved = save(both, tmp_path / "saved")
    loaded = transformers.AutoTokenizer.from_pretrained(saved)
    assert loaded("the river")["input_ids"] == codec.encode("the river")
    assert load_both(saved, beginning_of_text=policy).codec.fingerprint == codec.fingerprint


def test_a_beginning_with_a_colon_and_a_space_in_it(tmp_path):
    tokenizer = KINDS["byte_level"]()
    tokenizer.add_special_tokens({"bos_token": "<start: $A>"})
    both = load_both(make_vivid(tmp_path / "model", tokenizer))
    codec, saved = both.codec, save(both, tmp_path / "saved")
    assert transformers.AutoTokenizer.from_pretrained(saved)("the")["input_ids"] == codec.encode(
        "the"
    )
    assert codec.encode("the")[0] == 320


def test_nothing_of_the_sources_sampling_is_saved(tmp_path, tiny_tokenizer):
    source = make_vivid(tmp_path / "model", tiny_tokenizer)
    sampling = {
        "do_sample": True,
        "temperature": 0.6,
        "top_p": 0.9,
        "repetition_penalty": 1.3,
        "eos_token_id": [0, 7],
    }
    (source / "generation_config.json").write_text(json.dumps(sampling | {"max_new_tokens": 3}))
    save(load_both(source), tmp_path / "saved")
    saved = json.loads((tmp_path / "saved" / "generation_config.json").read_text())
    del saved["transformers_version"]
    expected = {
        "do_sample": False,
        "bos_token_id": 0,
        "eos_token_id": [0, 7],
        "pad_token_id": 0,
        "max_length": 128,
    }
    assert saved == expected
    assert load_codec(ModelSettings(source=str(tmp_path / "saved"))).end_ids == (0, 7)


def test_generation_settings_that_transformers_would_not_save_are_no_hindrance(
    tmp_path, tiny_tokenizer
):
    source = make_vivid(tmp_path / "model", tiny_tokenizer)
    (source / "generation_config.json").write_text(
        json.dumps({"do_sample": False, "temperature": 0.6})
    )
    save(load_both(source), tmp_path / "saved")
    assert "temperature" not in (tmp_path / "saved" / "generation_config.json").read_text()


def test_a_model_of_many_positions_is_not_held_to_them(tmp_path, tiny_tokenizer):
    source = make_vivid(tmp_path / "model", tiny_tokenizer, max_position_embeddings=512)
    save(load_both(source), tmp_path / "saved")
    assert "max_length" not in json.loads(
        (tmp_path / "saved" / "generation_config.json").read_text()
    )
    assert (
        len(write_elsewhere(tmp_path / "saved"))
        <= len(load_both(source).codec.encode(PROMPT)) + 256
    )


def test_every_saved_file_has_the_users_own_mode(tmp_path, tiny_model):
    loaded = load_both(tiny_model)
    for number, mask in enumerate((0o022, 0o077, 0o002)):
        before = os.umask(mask)
        try:
            save(loaded, tmp_path / str(number))
        finally:
            os.umask(before)
        modes = {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / str(number)).iterdir()}
        assert modes == {0o666 & ~mask}


def test_a_failed_save_keeps_the_checkpoints_and_leaves_no_model(tree, tmp_path, monkeypatch):
    tree["engine"] = {"checkpoint_minutes": 0}
    experiment = draw_experiment(parse_recipe(tree, source="t"), tmp_path / "out", device="cpu")
    train_run(experiment, "original", device="cpu")
    with monkeypatch.context() as patch:
        patch.setattr(
            transformers.PreTrainedModel, "save_pretrained", spoiling(change_weights(flip))
        )
        with pytest.raises(
            ModelError,
            match=f"the saved {NORM} is not the model's: nothing was saved, and the checkpoints",
        ):
            train_run(experiment, "hyperfitted", device="cpu")
    run = experiment.run("hyperfitted")
    assert not run.trained
    assert [each.name for each in run.folder.iterdir() if "partial" in each.name] == []
    kept = sorted(each.name for each in run.checkpoint_folder.iterdir())
    assert kept
    updates = run.updates()
    train_run(experiment, "hyperfitted", device="cpu")
    assert run.trained
    assert run.updates() == updates  # gone on from the last checkpoint, not trained again
    assert not run.checkpoint_folder.exists()


def test_merged_adapters_are_saved_as_plain_weights(tree, tmp_path):
    tree["train"] |= {"parameters": "lora", "epochs": 1}
    experiment = train_experiment(parse_recipe(tree, source="t"), tmp_path / "out", device="cpu")
    folder = experiment.run("hyperfitted").model_folder
    stored, plain = (
        load_file(each / "model.safetensors")
        for each in (folder, experiment.run("original").model_source)
    )
    assert stored.keys() == plain.keys()
    assert any(not stored[name].equal(plain[name]) for name in stored)
    assert not (folder / "adapter_config.json").exists()
    original, facts = (experiment.run(name).train_facts for name in ("original", "hyperfitted"))
    assert facts.parameters == original.parameters > facts.parameters_trained > 0


def test_the_five_lines_of_the_card_write_what_hyperfit_write_does(
    tmp_path, corpus, tiny_tokenizer, capsys
):
    source = make_vivid(tmp_path / "model", tiny_tokenizer, max_position_embeddings=512)
    run = train_on(source, corpus, tmp_path / "out")
    card = (run.model_folder / "README.md").read_text()
    code = re.search(r"```python\n(.*?)```", card, re.S)[1]
    assert len(code.splitlines()) == 5
    exec(compile(code, "README.md", "exec"), {})
    ours = "".join(write(run.folder, "It was late when", new_tokens=100, device="cpu"))
    assert len(ours) > 100
    assert capsys.readouterr().out == f"It was late when{ours}\n"
