import torch
from hypothesis import given
from hypothesis import strategies as st

from hyperfitting.training import ProcessGroup

CPU = torch.device("cpu")
SIZES = {
    "rows": st.integers(1, 40),
    "world": st.integers(1, 9),
    "micro": st.none() | st.integers(1, 12),
}


def shares(rows, world, micro):
    numbers = [100 + each for each in range(rows)]
    return numbers, [
        list(ProcessGroup(CPU, rank, world).share(numbers, micro)) for rank in range(world)
    ]


@given(**SIZES)
def test_every_row_counts_once_over_all_processes(rows, world, micro):
    numbers, parts = shares(rows, world, micro)
    pairs = [
        pair
        for mine in parts
        for taken, weights in mine
        for pair in zip(taken, weights, strict=True)
    ]
    assert sorted(row for row, weight in pairs if weight == 1) == numbers
    assert {weight for _, weight in pairs} <= {0.0, 1.0}
    assert {row for row, _ in pairs} == set(numbers)  # what stands in is a row of the same update


@given(**SIZES)
def test_every_process_meets_the_others_in_parts_of_the_same_sizes(rows, world, micro):
    _, parts = shares(rows, world, micro)
    shapes = [[len(taken) for taken, _ in mine] for mine in parts]
    assert shapes == shapes[:1] * world
    assert all(0 < size <= (micro or rows) for size in shapes[0])
    assert sum(shapes[0]) == -(-rows // world)  # no process computes more than it must


def test_three_rows_on_two_processes():
    _, (first, second) = shares(3, 2, None)
    assert first == [([100, 101], [1.0, 1.0])]
    assert second == [([102, 100], [1.0, 0.0])]


def test_one_process_takes_the_rows_in_order():
    assert shares(5, 1, 2)[1] == [
        [([100, 101], [1.0, 1.0]), ([102, 103], [1.0, 1.0]), ([104], [1.0])]
    ]


def test_alone_there_is_nothing_to_agree_on():
    alone = ProcessGroup(CPU)
    assert alone.is_main
    assert alone.any(True)
    assert not alone.any(False)
    assert alone.from_main("x") == alone.on_main(lambda: "x") == "x"
    assert torch.equal(alone.sum(torch.tensor([1.0, 2.0])), torch.tensor([1.0, 2.0]))
