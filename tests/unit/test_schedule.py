"""The order of the blocks, and kernels that give the same bits each time."""

import pytest
import torch

from hyperfitting.errors import InputError, RecipeError
from hyperfitting.recipe import parse_recipe
from hyperfitting.training import loop
from hyperfitting.training.model_setup import deterministic_kernels
from hyperfitting.training.schedule import block_order
from tests.support.training_loop import train_once


def test_a_swap_changes_two_places_of_every_epoch_and_nothing_else():
    for epoch in range(3):
        plain, swapped = block_order(0, epoch, 16), block_order(0, epoch, 16, (3, 11))
        moved = [place for place in range(16) if plain[place] != swapped[place]]
        assert sorted(plain[moved].tolist()) == [3, 11]
        assert plain[moved].tolist() == swapped[moved].tolist()[::-1]
    assert torch.equal(block_order(0, 0, 16), block_order(0, 0, 16, None))


def test_a_training_uses_the_swapped_order(tree, finished, tmp_path):
    ids = finished.blocks("train").ids_NT
    tree["train"] |= {"epochs": 1}
    order = block_order(0, 0, 16).tolist()
    apart = [order[0], order[15]]  # in the first update, and in the last
    inside = [order[0], order[1]]
    plain, inside, apart = (
        train_once({**tree, "train": tree["train"] | changes}, ids, tmp_path / name).rows
        for name, changes in {
            "plain": {},
            "inside": {"swapped_blocks": inside},
            "apart": {"swapped_blocks": apart},
        }.items()
    )
    assert inside[0].loss == pytest.approx(plain[0].loss, rel=1e-5)
    assert apart[0].loss != pytest.approx(plain[0].loss, rel=1e-5)


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ([0, 16], r"train.swapped_blocks = \[0, 16\]: the 16 training blocks are counted from 0"),
        ([3, 3], "train.swapped_blocks names one block twice: name two"),
    ],
)
def test_a_swap_that_is_none_is_refused(tree, blocks, said):
    tree["train"]["swapped_blocks"] = blocks
    with pytest.raises(RecipeError, match=said):
        parse_recipe(tree, source="t")


def test_deterministic_kernels_are_asked_for_while_a_training_runs(
    tree, finished, tmp_path, monkeypatch
):
    seen, true_order = [], loop.block_order

    def order(*arguments):
        seen.append(torch.are_deterministic_algorithms_enabled())
        return true_order(*arguments)

    monkeypatch.setattr(loop, "block_order", order)
    ids = finished.blocks("train").ids_NT
    tree["train"] |= {"epochs": 1}
    plain = train_once(tree, ids, tmp_path / "a").rows
    asked = train_once(tree | {"engine": {"deterministic": True}}, ids, tmp_path / "b").rows
    assert seen == [False] * 4 + [True] * 4
    assert not torch.are_deterministic_algorithms_enabled()
    assert [row.loss for row in plain] == [row.loss for row in asked]  # a CPU's are anyway


def test_an_operation_without_a_deterministic_kernel_is_one_line():
    with (
        pytest.raises(InputError, match=r"engine.deterministic: an operation of this training has"),
        deterministic_kernels(True),
    ):
        raise RuntimeError("x does not have a deterministic implementation")
    with pytest.raises(RuntimeError, match="another"), deterministic_kernels(True):
        raise RuntimeError("another")
    assert not torch.are_deterministic_algorithms_enabled()
