"""The benchmark of UNINEXT: its line holds together, on a network small enough for a test."""

import pytest
import torch
from models.uninext_cases import TINY

from scripts.benchmark.uninext import HEADER, line, random_model


def test_a_line_compares_sentences_alone_with_sentences_that_share_a_frame():
    model = random_model(TINY, torch.device("cpu"))
    assert all(value.isfinite().all() for value in model.network.parameters())
    cells = dict(zip(HEADER, line("tiny", model, (48, 80), 8), strict=True))
    apart, shared = (float(cells[name]) for name in ("each alone, s", "shared, s"))
    image, one, each = (
        float(cells[name]) for name in ("image, s", "one sentence, s", "s a sentence")
    )
    assert apart == pytest.approx(8 * (image + one), abs=0.15)
    assert shared == pytest.approx(image + 8 * each, abs=0.15)
