"""What trackers hold of a training that was stopped and went on, read back from the trackers
themselves.
"""

import sys
from importlib.util import find_spec

import pytest

from hyperfitting import trackers
from hyperfitting.errors import Interrupted, MissingExtra
from hyperfitting.facts import TrackerFacts, read_facts
from hyperfitting.recipe import load_recipe, parse_recipe
from hyperfitting.stages.check import check_recipe
from hyperfitting.stages.draw import draw_experiment
from hyperfitting.stages.generate import generate_experiment
from hyperfitting.stages.measure import measure_experiment
from hyperfitting.stages.train import train_experiment, train_run
from hyperfitting.trackers.to_tensorboard import TensorBoard
from tests.support.listening import Listener
from tests.support.recipes import tiny_tree

BOTH = ["tensorboard", "trackio"]


@pytest.fixture(scope="module")
def followed(tiny_model, corpus, tmp_path_factory):
    """Stopped after update 6 of 12, gone on, and measured; trackio was named from then on only."""
    tree, said = tiny_tree(tiny_model, corpus), Listener()
    tree["generate"]["strategies"] = tree["generate"]["strategies"][:1]
    recipe = parse_recipe(tree | {"report_to": BOTH[:1]}, source="t")
    out = tmp_path_factory.mktemp("followed") / "tiny"
    draw_experiment(recipe, out)
    with pytest.raises(Interrupted):
        train_experiment(recipe, out, device="cpu", progress=Listener(stop_after=6))
    recipe = parse_recipe(tree | {"report_to": BOTH}, source="t")
    experiment = train_experiment(recipe, out, device="cpu", progress=said)
    generate_experiment(experiment, device="cpu")
    measure_experiment(experiment, device="cpu", progress=said)
    measure_experiment(experiment, device="cpu")
    return experiment, said.lines


def in_tensorboard(experiment, variant):
    """The points of each curve, and the texts, as (update, value)."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    held = EventAccumulator(str(experiment.folder / "tensorboard" / variant))
    held.Reload()
    points = {
        name: [(point.step, pytest.approx(point.value)) for point in held.Scalars(name)]
        for name in held.Tags()["scalars"]
    }
    texts = [
        (each.step, each.tensor_proto.string_val[0].decode())
        for each in held.Tensors("probes/sample/text_summary")
    ]
    return points, texts


def in_trackio(experiment, variant):
    import trackio
    from trackio.sqlite_storage import SQLiteStorage

    id = read_facts(experiment.run(variant).trackers_file, TrackerFacts).id
    (run,) = [each for each in trackio.Api().runs("tiny") if each.name.endswith(id)]
    points, texts = {}, []
    for row in SQLiteStorage.get_logs("tiny", run.name, run_id=run.id):
        for name, value in row.items():
            if "/" in name and isinstance(value, float):
                points.setdefault(name, []).append((row["step"], value))
        if "probes/sample" in row:
            texts.append((row["step"], row["probes/sample"]["_value"]))
    return points, texts


@pytest.mark.parametrize("read", [in_tensorboard, in_trackio])
@pytest.mark.parametrize("variant", ["original", "hyperfitted"])
def test_each_tracker_holds_every_row_once(followed, read, variant):
    experiment, _ = followed
    run = experiment.run(variant)
    points, texts = read(experiment, variant)
    updates, probes = run.updates(), run.probes()
    assert len(updates) == (12 if variant == "hyperfitted" else 0)
    for name in ("loss", "learning_rate", "token_accuracy", "gradient_norm"):
        true = [(row.update, getattr(row, name)) for row in updates]
        assert points.get(f"updates/{name}", []) == true
    for name in ("validation_loss", "ttr", "reference_ttr", "entropy"):
        assert points[f"probes/{name}"] == [(row.update, getattr(row, name)) for row in probes]
    assert texts == [(row.update, f"{row.sample_context} | {row.sample}") for row in probes]
    row = next(row for row in run.metrics() if (row.name, row.variant) == ("ttr", variant))
    at = run.train_facts.kept_update
    assert points["metrics/pieces/greedy/ttr"] == [(at, pytest.approx(row.value))]
    if variant == "original":
        assert "metrics/pieces/reference/ttr" in points


def test_it_is_said_once_where_to_look(followed):
    """The original was trained when trackio was named: it is told of when it has been measured."""
    assert [line for line in followed[1] if "told" in line] == [
        "hyperfitted: told to trackio: trackio show --project tiny",
        "original: told to trackio: trackio show --project tiny",
    ]


def test_who_is_told_decides_nothing(followed):
    tree = followed[0].recipe.model_dump(mode="json")
    alone = parse_recipe(tree | {"report_to": []}, source="t")
    assert alone.digest == followed[0].recipe.digest
    assert followed[0].recipe.report_to == tuple(BOTH)


def test_a_tracker_that_fails_stops_nothing(tree, tmp_path, monkeypatch):
    class Failing(TensorBoard):
        def numbers(self, values, step):
            if step == 2:
                raise OSError("no space\nleft")
            super().numbers(values, step)

    monkeypatch.setitem(trackers.reporter._DOORS, "tensorboard", Failing)
    recipe, said = parse_recipe(tree | {"report_to": ["tensorboard"]}, source="t"), Listener()
    experiment = draw_experiment(recipe, tmp_path / "out")
    run = train_run(experiment, "hyperfitted", device="cpu", progress=said)
    assert len(run.updates()) == 12
    assert [line for line in said.lines if line.startswith("warning")] == [
        "warning: hyperfitted: tensorboard is told nothing more: OSError: no space left"
    ]
    points, _ = in_tensorboard(experiment, "hyperfitted")
    assert [step for step, _ in points["updates/loss"]] == [1]


@pytest.mark.parametrize("verb", [check_recipe, train_experiment])
def test_a_tracker_that_is_not_installed_is_refused_before_anything(
    verb, tree, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "wandb", None)
    recipe = parse_recipe(tree | {"report_to": ["wandb"]}, source="t")
    with pytest.raises(MissingExtra, match=r"needs wandb, .* pip install 'hyperfitting\[wandb\]'"):
        verb(recipe, tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


def test_an_unknown_tracker_is_refused():
    with pytest.raises(Exception, match="report_to"):
        load_recipe("demo", {"report_to": ["mlflow"]})


@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")
def test_wandb_writes_a_folder_and_sends_nothing(tree, tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    recipe = parse_recipe(tree | {"report_to": ["wandb"]}, source="t")
    experiment = draw_experiment(recipe, tmp_path / "out")
    train_run(experiment, "hyperfitted", device="cpu")
    assert list((tmp_path / "out" / "wandb").glob("offline-run-*/*.wandb"))
