"""The work that is planned for the time left is the work that is done."""

from contextlib import contextmanager

from hyperfitting import pipeline
from hyperfitting.progress import NoProgress
from hyperfitting.recipe import parse_recipe
from hyperfitting.runs import Experiment
from hyperfitting.stages.workload import planned_work, stage_work


class Counted(NoProgress):
    """Counts the steps of all bars of a stage."""

    def __init__(self):
        self.steps = {}

    @contextmanager
    def bar(self, label, total, start=0):
        self.label = label
        yield self

    def advance(self, steps=1, note=""):
        stage = self.label.partition(" (")[2]
        self.steps[stage] = self.steps.get(stage, 0) + steps


def test_the_planned_steps_are_those_that_are_counted(tree, tmp_path):
    recipe, counted = parse_recipe(tree, source="test"), Counted()
    folder = tmp_path / "out"
    planned = planned_work(recipe, Experiment(folder))
    pipeline.run(recipe, folder, device="cpu", progress=counted)
    assert list(counted.steps.values()) == [each.steps for each in planned if each.steps]
    assert [each.steps for each in planned_work(recipe, Experiment(folder))] == [0, 0, 0, 0]


def test_only_the_work_of_the_named_variants_is_counted(tree):
    recipe = parse_recipe(tree, source="test")
    both = stage_work(recipe, ["original", "hyperfitted"], *[["original", "hyperfitted"]] * 2)
    one = stage_work(recipe, ["hyperfitted"], ["hyperfitted"], ["hyperfitted"])
    train, generate, measure, report = zip(both, one, strict=True)
    assert train[0] == train[1]  # the original is not trained
    assert generate[0].steps == 2 * generate[1].steps
    contexts = sum(each.count for each in recipe.data.domains)
    assert measure[0].steps == 2 * measure[1].steps + 3 * contexts  # true texts and two controls
    assert report[0].steps == 0
