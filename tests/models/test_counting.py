"""Work that is counted while a network runs without values."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from submission.models.counting import count, empty
from submission.models.unit_calls import Calls, Unit, curve, from_two, in_groups, line, once
from submission.models.workload import Work, even_groups, groups, sum_stages, total


def test_a_product_by_hand():
    work = count(lambda: empty(10, 3) @ empty(3, 4))
    assert work == Work(flop=240, values=30 + 12 + 40, calls=1)


def test_what_only_looks_at_a_tensor_is_free():
    assert count(lambda: empty(10, 3).T.unsqueeze(0).expand(5, -1, -1)) == Work()


def test_a_table_is_read_where_it_is_picked_from():
    table, places = empty(1000, 8), torch.zeros(3, dtype=torch.long, device="meta")
    work = count(lambda: F.embedding(places, table))
    assert work.values == 2 * 3 * 8


def test_attention_writes_no_scores_and_stands_apart():
    queries, keys = empty(2, 4, 100, 32), empty(2, 4, 300, 32)
    work = count(lambda: F.scaled_dot_product_attention(queries, keys, keys))
    assert work.flop == work.attention == 2 * 2 * 4 * 100 * 300 * (32 + 32)
    assert work.wide == 0
    assert work.values == 2 * queries.numel() + 2 * keys.numel()
    causal = count(lambda: F.scaled_dot_product_attention(keys, keys, keys, is_causal=True))
    assert causal.flop == 2 * 4 * 300 * 300 * (32 + 32)


def test_a_batch_of_wide_heads_is_told():
    keys = empty(4, 1, 50, 256)
    work = count(lambda: F.scaled_dot_product_attention(keys, keys, keys))
    assert work.wide == work.attention > 0


def test_the_flop_are_those_of_torchs_counter():
    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True).to("meta", torch.bfloat16)
    network = nn.Sequential(nn.Conv2d(3, 64, 3), nn.Flatten(2), nn.Linear(36, 9))
    network.to("meta", torch.bfloat16)

    def run():
        network(empty(2, 3, 8, 8))
        layer.train()(empty(2, 10, 64))  # not the fused layer of inference

    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        run()
    assert count(run).flop == counter.get_total_flops()


def counted(unit: Unit) -> Work:
    """As if work grew with the square of the first number, and in a line with the second."""
    first, second = unit.numbers
    return Work(flop=2 * first**2 - first + 7 + 5 * second, values=first, calls=3)


def test_lines_and_curves_go_through_what_is_counted():
    def at(n):
        return once("part", "unit", n, 0)

    assert curve(at, (8, 16, 24), 1000).work(counted).flop == pytest.approx(2e6 - 1000 + 7)
    assert line(at, 1, 2, 16).work(counted) == Work(flop=8 + 15 * 5, values=16, calls=3)
    assert curve(at, (8, 16, 24), 16) == at(16), "what is counted is taken as it is"
    assert from_two(at, 1) == at(1)
    assert set(from_two(at, 9)) == {Unit("part", "unit", (2, 0)), Unit("part", "unit", (3, 0))}


def test_calls_are_added_and_repeated():
    one, other = once("part", "unit", 1, 0), once("part", "unit", 0, 1)
    both = 2 * one + other + one
    assert both == Calls({Unit("part", "unit", (1, 0)): 3, Unit("part", "unit", (0, 1)): 1})
    assert both.work(counted) == 3 * counted(Unit("", "", (1, 0))) + counted(Unit("", "", (0, 1)))
    assert groups(35, 16) == [16, 16, 3]
    grouped = in_groups(lambda n: once("part", "unit", n, 0), groups(35, 16))
    assert grouped.times == {Unit("part", "unit", (16, 0)): 2, Unit("part", "unit", (3, 0)): 1}


def test_stages_are_added():
    videos = [{"a": Work(1), "b": Work(2)}, {"a": Work(3)}]
    assert sum_stages(videos) == {"a": Work(4), "b": Work(2)}
    assert total(sum_stages(videos)) == Work(6)
    assert 2 * Work(3) - Work(1) == Work(5)


@pytest.mark.parametrize(
    ("count", "most", "sizes"),
    [(0, 16, []), (1, 16, [1]), (16, 16, [16]), (17, 16, [9, 8]), (40, 16, [14, 13, 13]),
     (5, 1, [1] * 5)],
)  # fmt: skip
def test_even_groups_are_few_and_differ_by_one_at_most(count, most, sizes):
    assert even_groups(count, most) == sizes
