"""Ways to compute the same do compute the same."""

import torch

from scripts.benchmark.operations import OPERATIONS, SMALL, rows


def test_every_way_computes_what_runs_now():
    found = list(rows(SMALL, torch.device("cpu")))
    assert {row[0] for row in found} == set(OPERATIONS)
    for _, way, milliseconds, error in found:
        if milliseconds:
            assert float(error) < 1e-2, way
        else:
            assert (way, error[:9]) == ("in one pass (jiterator)", "not here:")


def test_a_way_that_computes_something_else_is_seen(monkeypatch):
    x = torch.ones(3)
    ways = {"now": lambda: x, "wrong": lambda: 2 * x}
    monkeypatch.setattr("scripts.benchmark.operations.OPERATIONS", {"x": lambda *_: ways})
    assert [row[3] for row in rows(SMALL, torch.device("cpu"))] == ["0.0e+00", "1.0e+00"]
