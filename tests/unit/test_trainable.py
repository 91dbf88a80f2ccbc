import re
import shutil
import sys

import pytest
import torch

from hyperfitting.assets import asset_path
from hyperfitting.cli.text import check_lines
from hyperfitting.errors import MissingExtra, ModelError
from hyperfitting.models import decoder_layers, load_model, select_trained, vocabulary_size
from hyperfitting.recipe import LoraSettings, ModelSettings, TrainSettings, parse_recipe
from hyperfitting.stages.check import check_recipe
from hyperfitting.stages.train import train_experiment
from tests.support.causal_models import build, save
from tests.support.refusals import refusal
from tests.support.tiny_models import make_model
from tests.support.training_loop import train_once

KINDS = ["llama", "qwen2", "gpt2", "gpt_neox"]
TIED = {"llama", "gpt2"}
LAYER = {
    "llama": r"model\.layers\.(\d)\.",
    "qwen2": r"model\.layers\.(\d)\.",
    "gpt2": r"transformer\.h\.(\d)\.",
    "gpt_neox": r"gpt_neox\.layers\.(\d)\.",
}
EMBEDDINGS = {
    "llama": {"model.embed_tokens.weight"},
    "qwen2": {"model.embed_tokens.weight"},
    "gpt2": {"transformer.wte.weight", "transformer.wpe.weight"},
    "gpt_neox": {"gpt_neox.embed_in.weight"},
}
HEAD = {
    "llama": "model.embed_tokens.weight",  # tied: one weight, listed once, under its first name
    "qwen2": "lm_head.weight",
    "gpt2": "transformer.wte.weight",
    "gpt_neox": "lm_head.weight",
}
LINEAR = {
    "llama": {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"},
    "qwen2": {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"},
    "gpt2": {"c_attn", "c_proj", "c_fc"},
    "gpt_neox": {"query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"},
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tiny_tokenizer):
    place = tmp_path_factory.mktemp("shapes")
    return {kind: make_model(place / kind, tiny_tokenizer, kind) for kind in KINDS}


@pytest.fixture
def load(folders):
    return lambda kind: load_model(ModelSettings(source=str(folders[kind])), torch.device("cpu"))


def settings(parameters="all", **changes):
    return TrainSettings(**{"learning_rate": 1e-3, "epochs": 1, "parameters": parameters} | changes)


def names(selection):
    return {name for name, _ in selection.trained}


def ends(kind, *, embeddings, head):
    return (EMBEDDINGS[kind] if embeddings else set()) | ({HEAD[kind]} if head else set())


@pytest.mark.parametrize("kind", KINDS)
def test_all_is_every_weight(load, kind):
    model = load(kind)
    selection = select_trained(model, settings())
    assert names(selection) == {name for name, _ in model.named_parameters()}
    assert (model.get_output_embeddings().weight is model.get_input_embeddings().weight) == (
        kind in TIED
    )


@pytest.mark.parametrize("kind", KINDS)
def test_all_but_the_ends(load, kind):
    model = load(kind)
    every = {name for name, _ in model.named_parameters()}
    rest = names(select_trained(model, settings(embeddings=False, head=False)))
    assert rest == every - ends(kind, embeddings=True, head=True)
    assert any("norm" in name or "ln_" in name for name in rest)


@pytest.mark.parametrize("last", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_last_layers_are_these_layers_alone(load, kind, last):
    model = load(kind)
    layered = [(name, re.match(LAYER[kind], name)) for name, _ in model.named_parameters()]
    expected = {name for name, layer in layered if layer and int(layer[1]) >= 2 - last}
    assert len(expected) > 5
    assert names(select_trained(model, settings(f"last:{last}"))) == expected


@pytest.mark.parametrize(("embeddings", "head"), [(True, None), (None, True), (True, True)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parameters", ["last:1", "late-lora:1"])
def test_embeddings_and_head_are_added_as_they_are(load, kind, embeddings, head, parameters):
    alone = names(select_trained(load(kind), settings(parameters)))
    both = names(select_trained(load(kind), settings(parameters, embeddings=embeddings, head=head)))
    tied = kind in TIED
    added = ends(
        kind,
        embeddings=bool(embeddings or (tied and head)),
        head=bool(head or (tied and embeddings)),
    )
    assert both == alone | added
    assert len(both) == len(alone) + len(added)


@pytest.mark.parametrize(
    ("parameters", "first"), [("lora", 0), ("late-lora:2", 0), ("late-lora:1", 1)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_adapters_sit_on_every_linear_module_of_the_layers_and_nothing_else_is_trained(
    load, kind, parameters, first
):
    trained = names(select_trained(load(kind), settings(parameters)))
    pattern = re.compile(LAYER[kind] + r"(?:\w+\.)*?(\w+)\.lora_([AB])\.default\.weight")
    found = [pattern.fullmatch(name) for name in trained]
    assert all(found)
    assert {int(each[1]) for each in found} == set(range(first, 2))
    for layer in range(first, 2):
        assert {each[2] for each in found if int(each[1]) == layer} == LINEAR[kind]
    assert sum(each[3] == "A" for each in found) == sum(each[3] == "B" for each in found)


def test_adapters_on_named_targets(load):
    lora = LoraSettings(rank=3, alpha=6.0, targets=("q_proj", "down_proj"))
    selection = select_trained(load("llama"), settings("late-lora:1", lora=lora))
    assert names(selection) == {
        f"model.layers.1.{module}.lora_{side}.default.weight"
        for module in ("self_attn.q_proj", "mlp.down_proj")
        for side in "AB"
    }
    assert all(3 in weight.shape for _, weight in selection.trained)


def test_adapters_have_the_dtype_of_the_model(folders):
    model = load_model(
        ModelSettings(source=str(folders["llama"]), dtype="bfloat16"), torch.device("cpu")
    )
    select_trained(model, settings("lora"))
    assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parameters", ["all", "last:1", "lora", "late-lora:1"])
@pytest.mark.parametrize("embeddings", [None, True])
def test_the_table_counts_every_trained_parameter_once(load, kind, parameters, embeddings):
    selection = select_trained(load(kind), settings(parameters, embeddings=embeddings))
    table = selection.table()
    trained = {
        id(weight): weight.numel()
        for weight in selection.model.parameters()
        if weight.requires_grad
    }
    assert sum(row.parameters for row in table) == sum(trained.values()) > 0
    assert len({row.weights for row in table}) == len(table)
    layers = [1] if parameters in ("last:1", "late-lora:1") else [0, 1]
    assert {row.layers for row in table} <= {tuple(layers), ()}
    for row in table:
        copies = max(1, len(row.layers))
        assert row.parameters == copies * torch.Size(row.shape).numel()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parameters", ["last:1", "late-lora:1"])
def test_what_is_not_trained_stays_equal_to_the_bit(
    tree, finished, tmp_path, folders, load, kind, parameters
):
    tree["model"]["source"] = str(folders[kind])
    # Decay too must not reach what is frozen.
    tree["train"] |= {"parameters": parameters, "epochs": 1, "weight_decay": 0.1}
    trained = train_once(tree, finished.blocks("train").ids_NT, tmp_path / "a")
    before = dict(load(kind).named_parameters())
    changed = names(trained.selection)
    same = 0
    for name, weight in trained.model.named_parameters():
        if name not in changed:
            same += 1
            assert torch.equal(weight, before[name.replace(".base_layer", "")]), name
    assert same >= len(before) / 2
    fresh = select_trained(load(kind), settings(parameters))
    starts = dict(fresh.model.named_parameters())
    moved = [
        name for name, weight in trained.selection.trained if not torch.equal(weight, starts[name])
    ]
    assert set(moved) == changed


def problem(model, **changes):
    return refusal(ModelError, select_trained, model, settings(**changes))


@pytest.mark.parametrize("parameters", ["last:3", "late-lora:3"])
def test_more_layers_than_there_are(load, parameters):
    said = problem(load("gpt2"), parameters=parameters)
    assert said == f"train.parameters = {parameters!r}: the model has 2 layers"


def test_an_unknown_target_is_named_with_those_there_are(load):
    said = problem(load("gpt2"), parameters="lora", lora=LoraSettings(targets=("c_attn", "q_proj")))
    assert said == (
        "train.lora.targets: no linear module is named 'q_proj'; there are c_attn, c_proj, c_fc"
    )


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("embeddings", [True, False])
def test_tied_weights_cannot_part(load, kind, embeddings):
    said = problem(load(kind), parameters="last:1", embeddings=embeddings, head=not embeddings)
    assert (
        said == "embeddings and head of this model are one weight (tied): set train.embeddings or "
        "train.head"
    )


@pytest.mark.parametrize("kind", ["qwen2", "gpt_neox"])
def test_untied_weights_can(load, kind):
    apart = names(select_trained(load(kind), settings(embeddings=False, head=True)))
    assert HEAD[kind] in apart
    assert not EMBEDDINGS[kind] & apart


def test_an_architecture_without_a_list_of_layers(load):
    model = load("llama")
    model.config.num_hidden_layers = 7
    said = problem(model, parameters="last:1")
    assert said == "the 7 layers of this architecture were not found: it cannot be trained in part"


def test_a_missing_peft_names_the_extra(load, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtra) as caught:
        select_trained(load("llama"), settings("lora"))
    assert (
        str(caught.value)
        == "this needs peft, which is not installed: pip install 'hyperfitting[lora]'"
    )
    select_trained(load("llama"), settings("last:1"))  # nothing else needs it


def test_adapters_are_merged_in_float32_whatever_was_trained(folders):
    """Rounded to bfloat16, the sum with a small adapter would be the weight that it was."""
    source = ModelSettings(source=str(folders["llama"]), dtype="bfloat16")
    model = load_model(source, torch.device("cpu"))
    selection = select_trained(model, settings("lora"))
    place = model.model.layers[0].self_attn.q_proj
    with torch.no_grad():
        place.lora_B["default"].weight.fill_(1e-5)
        base = place.base_layer.weight.float()
        added = place.scaling["default"] * (
            place.lora_B["default"].weight.float() @ place.lora_A["default"].weight.float()
        )
    merged = selection.merge().model.layers[0].self_attn.q_proj.weight
    assert merged.dtype == torch.float32
    torch.testing.assert_close(merged - base, added, rtol=1e-2, atol=1e-8)
    assert ((base + added).bfloat16() == base.bfloat16()).float().mean() > 0.5


def test_adapters_on_nothing_are_refused(load):
    with pytest.raises(ModelError, match=r"^train\.lora\.targets: they name no linear module"):
        select_trained(load("llama"), settings("lora", lora=LoraSettings(targets=())))


def test_what_peft_refuses_is_one_line(load, monkeypatch):
    import peft

    def refuse(*_):
        raise ValueError("not this one")

    monkeypatch.setattr(peft, "LoraModel", refuse)
    with pytest.raises(
        ModelError,
        match=r"^train\.lora\.targets: peft cannot adapt one of q_proj, .*, down_proj \(",
    ):
        select_trained(load("llama"), settings("lora"))


def test_the_layers_for_texts_of_a_model_of_texts_and_images_are_found():
    from transformers import AutoModelForCausalLM, Gemma3Config

    text = {
        "vocab_size": 320,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "head_dim": 8,
    }
    text |= {"num_attention_heads": 4, "num_key_value_heads": 2}
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
    }
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(
            Gemma3Config(text_config=text, vision_config=vision)
        )
    assert len(decoder_layers(model)) == 3
    assert vocabulary_size(model) == 320


BYPASSED = {
    "mamba": {
        "mixer.x_proj.weight",
        "mixer.dt_proj.weight",
        "mixer.out_proj.weight",
        "mixer.conv1d.weight",
    },
    "mamba2": {"mixer.out_proj.weight", "mixer.conv1d.weight"},
    "qwen2_moe": {"mlp.experts.gate_up_proj", "mlp.experts.down_proj", "mlp.gate.weight"},
    "deepseek_v2": {"mlp.experts.gate_up_proj", "mlp.experts.down_proj", "mlp.gate.weight"},
    "llama4_text": {"feed_forward.experts.gate_up_proj", "feed_forward.experts.down_proj"},
    "falcon": set(),
    "bloom": set(),
}
SHARED = {
    "qwen2_moe": "mlp.shared_expert.gate_proj.lora_A.default.weight",
    "deepseek_v2": "mlp.shared_experts.up_proj.lora_B.default.weight",
    "falcon": "mlp.dense_h_to_4h.lora_A.default.weight",
    "mamba": "mixer.in_proj.lora_A.default.weight",
}


@pytest.mark.parametrize("name", BYPASSED)
def test_adapters_sit_wherever_they_are_added_and_the_rest_is_named(name):
    model = build(name)
    ids = torch.arange(1, 17)[None]
    selection = select_trained(model, settings("lora"))
    left_out = {place.split(".*.")[-1] for place in selection.left_out}
    assert BYPASSED[name] <= left_out
    assert not {place for place in left_out if "lora" in place}
    assert not BYPASSED[name] or all(
        not place.startswith(SHARED.get(name, "-").split(".lora")[0]) for place in left_out
    )
    trained = dict(selection.trained)
    assert any(place.endswith(SHARED.get(name, "lora_A.default.weight")) for place in trained)
    with torch.no_grad():
        for place, weight in trained.items():
            if "lora_B" in place:
                weight.normal_(0, 0.01, generator=torch.Generator().manual_seed(1))
    logits = model(ids, use_cache=False).logits
    logits.square().mean().backward()
    assert [
        place for place, weight in trained.items() if weight.grad is None or not weight.grad.any()
    ] == []
    assert selection.merge() is model
    assert not any("lora" in place for place, _ in model.named_parameters())
    torch.testing.assert_close(model(ids, use_cache=False).logits, logits, rtol=1e-3, atol=1e-3)


def test_an_adapter_that_would_do_nothing_is_refused_where_it_is_asked_for():
    said = problem(
        build("mamba2"), parameters="lora", lora=LoraSettings(targets=("in_proj", "out_proj"))
    )
    assert said == (
        "train.lora.targets: an adapter on 'out_proj' would do nothing, since the model's code "
        "reads its weight without calling it: leave it out"
    )


@pytest.mark.parametrize("name", ["mamba", "qwen2_moe"])
def test_check_and_the_run_name_what_has_no_adapter(tree, tmp_path, name):
    save(name, tmp_path / "model")
    for file in asset_path("asset:reference-lm").glob("tokenizer*"):
        shutil.copy(file, tmp_path / "model")
    tree["model"]["source"], tree["train"]["parameters"] = str(tmp_path / "model"), "lora"
    tree["train"] |= {"epochs": 1}
    recipe = parse_recipe(tree, source="t")
    left_out = sorted(BYPASSED[name])[0]
    line = next(
        line
        for line in check_lines(check_recipe(recipe, device="cpu")).splitlines()
        if "without adapters" in line
    )
    assert left_out in line
    experiment = train_experiment(recipe, tmp_path / "out", device="cpu")
    facts = experiment.run("hyperfitted").facts.train
    assert any(place.endswith(left_out) for place in facts.without_adapters)
    assert experiment.run("original").facts.train.without_adapters == ()
