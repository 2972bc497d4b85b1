"""The ablation: intervals over clips, groups of sentences, and what its tables say."""

import numpy as np
import pytest

from scripts.ablation.answers import (
    REFERENCE,
    RULES,
    SECOND,
    SECOND_SETTINGS,
    SETTINGS,
    Judge,
    electorates,
    vote_name,
)
from scripts.ablation.tables import (
    by_meaning,
    difference,
    is_late,
    j_and_f,
    mean_and_interval,
    table,
)
from scripts.sample_data.sentences import Sentence
from scripts.sample_data.write_split import PLANS, SplitPlan, draw_plan, write_split
from scripts.train_sample_model.export import export
from scripts.train_sample_model.sizes import config_values
from scripts.train_sample_model.start import start
from submission.dataset.ground_truth import read_ground_truth
from submission.dataset.mevis import read_split
from submission.score.scoring import ExpressionScore


def scored(value, meaning="stops", targets=(0,), *, is_held_out=False, found_any=True):
    """One sentence with J and F of `value`."""
    score = ExpressionScore("v", "0", value, value, bool(targets), found_any, False, ())
    return score, Sentence("", targets, meaning, is_held_out)


def test_the_interval_is_over_clips_and_not_over_sentences():
    same = [[0.7, 0.7]] * 10
    assert mean_and_interval(same) == pytest.approx((0.7, 0.7, 0.7))
    apart = [[0.0] * 10, [1.0] * 10] * 10
    mean, low, high = mean_and_interval(apart)
    assert mean == 0.5
    # 20 clips that agree within themselves: as wide as for 20 values, not for 200.
    assert 0.35 < high - low <= 0.5
    assert mean_and_interval([[0.0], [1.0, 1.0, 1.0]])[0] == 0.75  # every sentence counts once


def test_late_motion_is_told_by_the_meaning():
    assert is_late(scored(1, "starts late"))
    assert is_late(scored(1, "stops to left"))
    assert not is_late(scored(1, "heads to left"))
    assert not is_late(scored(1, "stops", targets=()))


def test_the_table_puts_each_sentence_in_its_columns():
    clips = [[scored(0.9), scored(0.5, "grows", is_held_out=True)],
             [scored(0.0, targets=(), found_any=True)]]  # fmt: skip
    header, _, row = table({"mine": clips})
    names = [cell.strip() for cell in header.split("|")[2:-1]]
    cells = [cell.split()[0] for cell in row.split("|")[2:-1]]
    assert dict(zip(names, cells, strict=True)) == {
        "all with a target": "0.700", "late or stopping": "0.900", "known wording": "0.900",
        "held-out wording": "0.500", "N-acc": "0.000", "T-acc": "1.000",
    }  # fmt: skip
    assert by_meaning({"mine": clips}, ["mine"]).splitlines()[2:] == [
        "| grows (1) | 0.500 |",
        "| stops (1) | 0.900 |",
    ]


def test_a_difference_is_taken_sentence_by_sentence():
    one = [[scored(0.9), scored(0.2)], [scored(0.8)]]
    other = [[scored(0.8), scored(0.1)], [scored(0.7)]]
    assert difference({"a": one, "b": other}, "a", "b") == "+0.100 [+0.100, +0.100]"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint that knows nothing."""
    folder = tmp_path_factory.mktemp("small") / "checkpoint"
    network, config, _ = start(folder, 5)
    export(folder, network, config, config_values(int(config.llm.vocab_size)), {})
    return folder


@pytest.mark.parametrize("checkpoints", [1, 2])
def test_every_setting_and_vote_is_scored_on_every_sentence(checkpoint, tmp_path, checkpoints):
    plan = PLANS["choose"]
    plan = SplitPlan(plan.folder, 1, plan.seed, plan.style)
    write_split(tmp_path / plan.folder, draw_plan(plan))
    split = read_split(tmp_path, plan.folder)
    (video,) = split.videos
    scores = Judge([checkpoint] * checkpoints, split, read_ground_truth(split)).scores(video)
    names = {setting.name for setting in SETTINGS}
    names |= {SECOND + setting.name for setting in SECOND_SETTINGS if checkpoints == 2}
    votes = {vote_name(m, rule) for m in electorates(checkpoints) for rule in RULES}
    assert len(votes) == 4 * checkpoints
    assert set(scores) == names | votes
    assert {len(own) for own in scores.values()} == {len(video.expressions)}
    assert all(np.isfinite(j_and_f((one, None))) for own in scores.values() for one in own)


def test_members_of_a_vote_differ_and_are_settings():
    names = {setting.name for setting in SETTINGS}
    names |= {SECOND + setting.name for setting in SECOND_SETTINGS}
    assert REFERENCE in names
    for members in electorates(2):
        assert set(members) <= names
        assert len(set(members)) == len(members)
