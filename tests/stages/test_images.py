"""Images on the same path as texts: drawn, trained on, continued, measured, reported; and equal to
plain transformers.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from hyperfitting import models, pipeline
from hyperfitting.assets import asset_path
from hyperfitting.cli import main
from hyperfitting.cli.text import check_lines
from hyperfitting.comparing import compare
from hyperfitting.errors import DataError, InputError, ModelError, RecipeError
from hyperfitting.measuring.images import IMAGE_CONTROLS
from hyperfitting.metrics.specs import EachText, metrics_measured_as
from hyperfitting.preference.design.arms import read_contexts
from hyperfitting.recipe import HYPERFITTED, ORIGINAL, ModelSettings, load_recipe, parse_recipe
from hyperfitting.report import headline
from hyperfitting.runs import Experiment
from hyperfitting.stages.archive import archive_experiment
from hyperfitting.stages.check import check_recipe
from hyperfitting.stages.draw import draw_experiment
from hyperfitting.stages.generate import compare_with_reference
from hyperfitting.stages.train import pretrain
from hyperfitting.training.loss import add_loss, plain_next_token_loss
from hyperfitting.writing import write
from tests.support.cli import refused
from tests.support.images import COLOURS, SIDE, encoded, image_tree, make_image_model, noise
from tests.support.listening import Listener

pytestmark = pytest.mark.pictures


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_image_model(tmp_path_factory.mktemp("models") / "tiny-imagegpt")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    path = tmp_path_factory.mktemp("images") / "noise.npz"
    np.savez(path, images=noise(60))
    return path


@pytest.fixture(scope="module")
def experiment(tmp_path_factory, model, images):
    """The paper's recipe from beginning to end, on a small model and images of its form."""
    tree = image_tree(model, images)
    smaller = {
        "model.source": str(model),
        "model.architecture": None,
        "data.train": tree["data"]["train"],
        "data.images.side": SIDE,
        "data.block_tokens": 65,
        "data.context_tokens": 17,
        "data.train_blocks": 16,
        "data.validation_blocks": 4,
        "data.domains": tree["data"]["domains"],
        "generate.new_tokens": 48,
        **{
            f"{section}.{name}": value
            for section in ("train", "probe", "generate", "measure", "report")
            for name, value in tree[section].items()
        },
    }
    recipe = load_recipe("paper-imagegpt", smaller)
    assert recipe.train.dropout is False
    return pipeline.run(recipe, tmp_path_factory.mktemp("experiment") / "images", device="cpu")


@pytest.fixture
def tree(model, images):
    return image_tree(model, images)


def of_arm(experiment, variant, strategy):
    texts = experiment.run(variant).continuations()
    return [each for each in texts if (each.variant, each.strategy) == (variant, strategy)]


def plain(experiment):
    folder = experiment.run(HYPERFITTED).model_folder
    return transformers.ImageGPTForCausalImageModeling.from_pretrained(folder).eval()


def test_a_continuation_has_ids_and_no_text(experiment):
    written = of_arm(experiment, HYPERFITTED, "greedy")
    assert len(written) == 10
    for each in written:
        assert each.is_image
        assert (each.text, each.pieces, each.context_pieces) == ("", (), ())
        assert each.context_ids[0] == COLOURS
        assert (len(each.context_ids), len(each.ids), each.ended) == (17, 48, "length")


@pytest.mark.parametrize("strategy", ["greedy", "every-rule"])
@pytest.mark.parametrize("variant", [ORIGINAL, HYPERFITTED])
def test_the_start_token_is_never_generated(experiment, variant, strategy):
    ids = np.array([each.ids for each in of_arm(experiment, variant, strategy)])
    assert 0 <= ids.min() <= ids.max() < COLOURS


def test_greedy_ids_are_those_of_transformers_generate(experiment):
    written, theirs = of_arm(experiment, HYPERFITTED, "greedy"), plain(experiment)
    context = torch.tensor([each.context_ids for each in written])
    made = theirs.generate(context)  # generation_config.json asks for the whole image
    assert made[:, 17:].tolist() == [list(each.ids) for each in written]


def test_logits_and_scores_are_those_of_transformers(experiment):
    theirs, blocks = plain(experiment), experiment.blocks("pictures")
    settings = ModelSettings(source=str(experiment.run(HYPERFITTED).model_folder))
    ours = models.load_model(settings, torch.device("cpu"), tokens=65)
    ids = torch.as_tensor(blocks.ids_NT).long()
    with torch.no_grad():
        logits = theirs(ids[:, :-1]).logits
        assert torch.equal(models.plain_logits(ours, ids[:, :-1]), logits)
    loss = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
    )
    scores = models.score_texts(ours, blocks.ids_NT, batch_blocks=5)
    assert scores.loss.shape == (10, 64)
    assert torch.allclose(scores.loss.flatten(), loss, atol=1e-5)
    assert models.traits_of(ours).decoding != models.NO_CACHE


def test_the_training_loss_is_that_of_transformers(experiment):
    model, ids = plain(experiment), torch.as_tensor(experiment.blocks("train").ids_NT[:3]).long()
    logits = model(ids[:, :-1]).logits.flatten(0, 1)
    theirs = torch.nn.functional.cross_entropy(logits, ids[:, 1:].flatten(), reduction="sum")
    theirs.backward()
    gradient = model.lm_head.weight.grad.clone()
    model.zero_grad()
    add_loss(model)
    ours = model.next_token_loss(ids, torch.ones(3))
    ours.loss.backward()
    assert torch.allclose(ours.loss, theirs, rtol=1e-5)
    assert torch.allclose(model.lm_head.weight.grad, gradient, atol=1e-4)
    assert torch.allclose(plain_next_token_loss(model, ids, torch.ones(3)).loss, theirs, rtol=1e-5)


def test_the_saved_folder_holds_the_image_processor(experiment):
    folder = experiment.run(HYPERFITTED).model_folder
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    assert np.allclose(processor.clusters, experiment.palette.colours_KC)
    assert processor.size == {"height": SIDE, "width": SIDE}
    card = (folder / "README.md").read_text()
    assert "unconditional-image-generation" in card
    assert "16 images of" in card
    assert "open-ended text" not in card
    assert "may recite its images" in card


def test_the_lines_of_use_in_the_card_write_the_continuation(experiment, tmp_path, monkeypatch):
    folder = experiment.run(HYPERFITTED).model_folder
    code = (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    written = of_arm(experiment, HYPERFITTED, "greedy")[0]
    true = experiment.blocks("pictures").ids_NT[0, 1:].reshape(SIDE, SIDE)
    monkeypatch.chdir(tmp_path)
    Image.fromarray(experiment.palette.pixels(true)).save("image.png")
    exec(compile(code, "card", "exec"), {})
    made = np.asarray(Image.open("continued.png"))
    whole = np.array([*written.context_ids[1:], *written.ids]).reshape(SIDE, SIDE)
    assert (made == experiment.palette.pixels(whole)).all()


def test_reference_mode_writes_the_same(experiment):
    found = compare_with_reference(experiment, HYPERFITTED, 2, device="cpu")
    assert (found.texts, found.differences) == (4, ())


def test_metrics_of_words_and_strings_are_not_taken(experiment):
    reads = {spec.name: spec.measured.reads for spec, _ in metrics_measured_as(EachText)}
    taken = {name for row in experiment.run(HYPERFITTED).text_metrics() for name in row.values}
    assert {reads[name] for name in taken} == {
        "tokens",
        "overlap",
        "original_loss",
        "original_rank",
        "image",
        "nearest_training",
        "blocked",
    }


def test_the_training_comes_down_and_is_recorded(experiment):
    run = experiment.run(HYPERFITTED)
    losses = [row.loss for row in run.updates()]
    assert losses[-1] < losses[0]
    facts = run.train_facts
    assert facts.tokenizer.kind == "ImageGPTImageProcessor"
    assert facts.tokenizer.special == {"start": COLOURS}
    assert facts.codec == experiment.manifest.codec
    assert facts.model.vocabulary == COLOURS


def test_the_comparison_is_made(experiment):
    assert "image_ttr" in {spec.name for spec in compare([experiment.folder]).tables[0].metrics}


def test_true_images_and_controls_stand_beside_what_the_models_drew(experiment):
    rows = {(row.variant, row.strategy, row.name): row for row in experiment.metric_rows()}
    for variant, strategy in (
        ("original", "greedy"),
        ("hyperfitted", "every-rule"),
        ("reference", None),
        *((variant, None) for variant in IMAGE_CONTROLS),
    ):
        assert rows[variant, strategy, "image_ttr"].n == experiment.recipe.data.domains[0].count
        assert rows[variant, strategy, "nearest_training_rms"].value >= 0
    assert rows["copied-row", None, "rows_equal_to_above_share"].value == 1
    assert rows["nearest-training", None, "nearest_training_rms"].value == 0
    assert rows["nearest-training", None, "longest_overlap_tokens"].value == SIDE * SIDE * 3 // 4


def test_the_report_shows_images_and_saves_them(experiment):
    page = (experiment.report_folder / "index.html").read_text(encoding="utf-8")
    titles = re.findall(r"<figcaption>([^<]*)</figcaption>", page)
    assert titles[:2] == ["original, greedy", "hyperfitted, greedy"]
    assert titles[-2:] == ["the true image", "nearest training image"]
    assert page.count('style="--given: 25%"') == len(titles)
    assert "where the true images have" in headline(experiment)
    assert "<em>copied-row</em> repeats the last given row" in page
    assert ">random<" not in page
    assert "texts that end by themselves" not in page
    saved = experiment.report_folder / "pictures" / "example-1-hyperfitted-greedy.png"
    first = of_arm(experiment, HYPERFITTED, "greedy")[0]
    whole = np.array([*first.context_ids[1:], *first.ids]).reshape(SIDE, SIDE)
    large = np.asarray(Image.open(saved))
    assert (large[::8, ::8] == experiment.palette.pixels(whole)).all()
    markdown = (experiment.report_folder / "report.md").read_text(encoding="utf-8")
    for name in ("pictures.png", "example-1.png"):
        assert f"({name})" in markdown
        assert (experiment.report_folder / name).is_file()


def test_archives_keep_hashes_or_images(experiment, tmp_path):
    archive_experiment(experiment.folder, tmp_path / "hashes")
    assert Experiment(tmp_path / "hashes").palette is None
    archive_experiment(experiment.folder, tmp_path / "whole", texts=True)
    kept = Experiment(tmp_path / "whole")
    assert kept.palette.fingerprint(SIDE) == kept.manifest.codec


def test_a_preference_study_reads_the_images(experiment):
    first = read_contexts([experiment.folder])[0]
    assert first.side == SIDE
    assert first.palette.fingerprint(SIDE) == experiment.palette.fingerprint(SIDE)
    assert {"reference", "original, greedy", "hyperfitted, every-rule"} <= first.written.keys()


def test_what_is_for_texts_refuses_images_in_one_line(experiment, tmp_path):
    with pytest.raises(InputError, match="this model continues images, not texts"):
        "".join(write(experiment.folder, "It was late"))
    model = str(experiment.run(HYPERFITTED).model_folder)
    with pytest.raises(ModelError, match="it continues images, and texts are read here"):
        models.load_scoring_model(model, torch.device("cpu"))


@pytest.mark.usefixtures("light")
def test_check_tells_of_images(tree, tmp_path):
    text = check_lines(check_recipe(parse_recipe(tree, source="t"), tmp_path / "out", device="cpu"))
    assert "image     8 x 8 pixels in 16 colours, contexts of 2 rows; start token 16" in text
    assert "images: 60 of 8x8" in text
    assert "beginning-of-text" not in text
    assert "ttr_last96" not in text
    assert not (tmp_path / "out").exists()


def test_colours_on_a_hub_that_cannot_be_reached_are_not_said_to_be_missing(tmp_path):
    with pytest.raises(InputError, match=r"openai/imagegpt-large: .* the hub cannot be reached"):
        check_recipe(load_recipe("paper-imagegpt"), tmp_path / "out", device="cpu")


def png(pixels, **options):
    from PIL import Image

    return encoded(Image.fromarray(pixels), **options)


def cmyk():
    from PIL import Image

    return encoded(Image.fromarray(noise(1)[0]).convert("CMYK"), "JPEG")


def animated():
    from PIL import Image

    return png(noise(1)[0], save_all=True, append_images=[Image.fromarray(noise(2)[1])])


WRONG = {
    "alpha": (lambda: png(np.dstack([noise(1)[0], np.full((8, 8), 9, np.uint8)])), "transparent"),
    "CMYK": (cmyk, "its colours are CMYK: save it as RGB with 8 bits a channel"),
    "16 bits": (lambda: png(noise(1)[0][..., 0].astype(np.uint16)), "16 bits a channel: save it"),
    "animated": (animated, r"it holds 2 pictures \(animated\): save one of them"),
    "corrupt": (lambda: png(noise(1)[0])[:60], "it is damaged, or neither PNG nor JPEG"),
    "empty": (lambda: b"", r"it is empty \(0 bytes\)"),
    "another size": (
        lambda: png(noise(1, side=12)[0]),
        "it is 12x12, and images before it are 8x8",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_image_is_refused_in_one_line_and_leaves_nothing(kind, tree, tmp_path, capsys):
    make, said = WRONG[kind]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.png").write_bytes(png(noise(1)[0]))
    (tmp_path / "in" / "1.jpg").write_bytes(make())
    tree["data"]["train"] = {"path": str(tmp_path / "in")}
    (tmp_path / "r.json").write_text(json.dumps(tree))
    out = tmp_path / "out"
    line = refused(capsys, "train", str(tmp_path / "r.json"), "--out", str(out), "--device", "cpu")
    assert re.search(f"1.jpg: .*{said}", line)
    assert not out.exists()


def test_too_few_colours_for_a_new_model_are_refused(tree, model, tmp_path):
    pytest.importorskip("sklearn")
    (tmp_path / "shape").mkdir()
    shutil.copy(model / "config.json", tmp_path / "shape")
    np.savez(tmp_path / "two.npz", images=noise(60) // 128 * 255 * np.array([1, 0, 0], np.uint8))
    tree["model"] = {"source": str(tmp_path / "shape"), "initialise": "random"}
    tree["data"]["train"]["path"] = str(tmp_path / "two.npz")
    with pytest.raises(DataError, match="have 2 distinct colours, and the model 16: take a model"):
        draw(tree, tmp_path)


def draw(tree, tmp_path):
    return draw_experiment(parse_recipe(tree, source="t"), tmp_path / "out", device="cpu")


def test_a_recipe_of_texts_with_a_model_of_images(tree, corpus, tmp_path):
    data = {"train": {"path": str(corpus)}, "train_blocks": 4, "validation_blocks": 2}
    sizes = {"block_tokens": 16, "context_tokens": 4, "domains": [{"name": "d", "count": 2}]}
    texts = tree | {"data": data | sizes, "generate": {"new_tokens": 8}}
    with pytest.raises(ModelError, match="it continues images, and the recipe's data are texts"):
        draw(texts, tmp_path)


def test_a_recipe_of_images_with_a_model_of_texts(tree, tiny_model, tmp_path):
    tree["model"] = {"source": str(tiny_model)}
    with pytest.raises(ModelError, match=r"it continues texts, and data\.images asks for images"):
        draw(tree, tmp_path)


def test_images_of_another_size_than_the_models(tree, tmp_path):
    tree["data"]["images"] = {"side": 16}
    with pytest.raises(ModelError, match=r"of 8 x 8 pixels: set data\.images\.side = 8"):
        draw(tree, tmp_path)


def test_a_model_without_colours(tree, model, tmp_path):
    bare = shutil.copytree(model, tmp_path / "bare")
    (bare / "preprocessor_config.json").unlink()
    tree["model"] = {"source": str(bare)}
    with pytest.raises(ModelError, match=r"bare: no preprocessor_config\.json with the clusters"):
        draw(tree, tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_model_with_another_number_of_colours(tree, model, tmp_path):
    other = shutil.copytree(model, tmp_path / "other")
    held = json.loads((other / "preprocessor_config.json").read_text())
    held["clusters"] = held["clusters"][:-1]
    (other / "preprocessor_config.json").write_text(json.dumps(held))
    tree["model"] = {"source": str(other)}
    with pytest.raises(ModelError, match=r"has 15 colours, and its config\.json vocab_size = 17"):
        draw(tree, tmp_path)


@pytest.mark.parametrize("initialise", ["pretrained", "random"])
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vocab_size": 1}, "vocab_size = 1 leaves fewer than 2 colours .* set it to 3 or more"),
        ({"vocab_size": 2}, "vocab_size = 2 leaves fewer than 2 colours .* set it to 3 or more"),
        ({"n_positions": 0}, "n_positions = 0 makes no square image: set it to rows x columns"),
        ({"n_positions": 65}, "n_positions = 65 makes no square image: set it to rows x columns"),
    ],
)
def test_a_config_of_no_images_is_refused(changes, said, initialise, tree, model, tmp_path):
    shape = tmp_path / "shape"
    if initialise == "pretrained":
        shutil.copytree(model, shape)
    shape.mkdir(exist_ok=True)
    config = json.loads((model / "config.json").read_text())
    (shape / "config.json").write_text(json.dumps(config | changes))
    tree["model"] = {"source": str(shape), "initialise": initialise}
    with pytest.raises(ModelError, match=rf"shape: its config\.json: {said}"):
        draw(tree, tmp_path)


def test_a_new_model_of_two_colours(tree, model, tmp_path):
    pytest.importorskip("sklearn")
    (tmp_path / "shape").mkdir()
    config = json.loads((model / "config.json").read_text())
    (tmp_path / "shape" / "config.json").write_text(json.dumps(config | {"vocab_size": 3}))
    tree["model"] = {"source": str(tmp_path / "shape"), "initialise": "random"}
    recipe = parse_recipe(tree, source="t")
    assert check_lines(check_recipe(recipe, tmp_path / "out", device="cpu"))


def test_an_image_processor_of_another_size_is_refused(tree, model, tmp_path):
    other = shutil.copytree(model, tmp_path / "other")
    held = json.loads((other / "preprocessor_config.json").read_text())
    held["size"] = {"height": 32, "width": 32}
    (other / "preprocessor_config.json").write_text(json.dumps(held))
    tree["model"] = {"source": str(other)}
    with pytest.raises(ModelError, match=r"preprocessor_config\.json: size = .* of 8 x 8 pixels"):
        draw(tree, tmp_path)


def test_what_was_converted_is_said(tree, tmp_path):
    np.savez(tmp_path / "gray.npz", images=noise(60)[..., 0])
    tree["data"]["train"]["path"] = str(tmp_path / "gray.npz")
    heard = Listener()
    recipe = parse_recipe(tree, source="t")
    draw_experiment(recipe, tmp_path / "out", device="cpu", progress=heard)
    assert any("converted to RGB: 60 grayscale" in line for line in heard.lines)


def test_a_new_model_gets_the_colours_of_its_training_images(tree, model, tmp_path, capsys):
    """And the command that is proposed then fits it."""
    pytest.importorskip("sklearn")
    shape = tmp_path / "shape"
    shape.mkdir()
    shutil.copy(model / "config.json", shape)
    tree["model"] = {"source": str(shape), "initialise": "random"}
    tree["data"]["domains"] = []
    tree["data"]["images"] = {"side": 8, "mirrored": True}
    (tmp_path / "p.json").write_text(json.dumps(tree))
    assert main(["pretrain", str(tmp_path / "p.json"), "--out", str(tmp_path / "out")]) == 0
    experiment = Experiment(tmp_path / "out")
    run = experiment.run("pretrained")
    codec = models.load_codec(ModelSettings(source=str(run.model_folder)))
    assert codec.fingerprint == experiment.manifest.codec == run.train_facts.codec
    assert len(codec.palette) == COLOURS
    assert codec.palette.nearest(codec.palette.levels[None]).tolist() == [list(range(COLOURS))]
    proposed = capsys.readouterr().out.splitlines()[-1].removeprefix("next     hyperfit run ")
    recipe, *changes = shlex.split(proposed)
    assert changes[::2] == ["--set", "--set"]
    fitting = load_recipe(recipe, changes[1::2])
    assert draw_experiment(fitting, tmp_path / "next", device="cpu").drawn


def test_images_that_changed_since_they_were_drawn_are_refused(tree, tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, images=noise(60))
    tree["data"]["train"]["path"] = str(path)
    draw(tree, tmp_path)
    draw(tree, tmp_path)
    np.savez(path, images=noise(60, seed=1))
    with pytest.raises(DataError, match=r"a\.npz has changed since the data of .* were drawn"):
        draw(tree, tmp_path)


def test_pretraining_from_random_weights_is_asked_for(tree, tmp_path):
    with pytest.raises(RecipeError, match="pretraining begins from random weights"):
        pretrain(parse_recipe(tree, source="t"), tmp_path / "out", device="cpu")


def test_the_shipped_model_is_small_and_plain():
    recipe, folder = load_recipe("image-demo"), asset_path("asset:reference-imagegpt")
    assert sum(each.stat().st_size for each in folder.iterdir()) < 8_000_000
    plain_class = transformers.ImageGPTForCausalImageModeling
    theirs = plain_class.from_pretrained(folder, dtype="float32").eval()
    ours = models.load_model(recipe.model, torch.device("cpu"))
    ids = torch.randint(512, (2, recipe.data.block_tokens - 1))
    with torch.no_grad():
        assert torch.equal(theirs(ids).logits, ours(ids).logits)
    assert models.image_side(recipe.model) == recipe.data.images.side == 16
    assert len(models.load_codec(recipe.model).palette) == 512


def test_a_report_of_images_is_followed_by_what_images_are_good_for(experiment, capsys):
    assert main(["report", str(experiment.folder)]) == 0
    assert f"next     hyperfit preference create {experiment.folder} --out study" in (
        capsys.readouterr().out
    )
