"""The choice of a gate: known best cutoffs, ties, two optima, the share, videos left out."""

from dataclasses import replace

import numpy as np
import pytest

from submission.gate.calibration import calibrate, left_out
from submission.gate.fitting import best_cutoff, fit, probabilities
from submission.gate.labelled import Table, expected_final
from submission.gate.lines import calibration_lines


def table(no_target, j_and_f=0.6, videos=None, **evidence) -> Table:
    """A table in which every sentence has a mask; J&F holds for those with a target."""
    flags = np.array(no_target, bool)
    count = len(flags)
    return Table(
        np.arange(count) if videos is None else np.array(videos),
        {name: np.array(values, float) for name, values in evidence.items()},
        flags,
        np.where(flags, 0.0, j_and_f),
        flags.astype(float),
        np.ones(count, bool),
    )


def final(rows: Table, probability, cutoff, share) -> float:
    return expected_final(rows, np.array(probability) > cutoff, share).final


def test_one_decision_is_worth_what_the_definition_says():
    # valid_u of v2: 907 sentences, 38 without a target, at J&F .62.
    flags = np.arange(907) < 38
    rows = table(flags, j_and_f=0.62)
    share, nothing = 38 / 907, np.zeros(907, bool)
    before = expected_final(rows, nothing, share)
    right, wrong = nothing.copy(), nothing.copy()
    right[0] = wrong[-1] = True
    assert before.n_acc == 0
    assert before.t_acc == 1
    assert 100 * (expected_final(rows, right, share).final - before.final) == pytest.approx(
        0.914, abs=5e-4
    )
    assert 100 * (expected_final(rows, wrong, share).final - before.final) == pytest.approx(
        -0.061, abs=5e-4
    )


def test_the_best_cutoff_parts_what_can_be_parted():
    rows = table([1, 1, 0, 0, 0])
    cutoff = best_cutoff(rows, np.array([0.9, 0.7, 0.5, 0.2, 0.1]), share=0.04)
    assert cutoff == pytest.approx(1 / (1 + (3 / 7) ** 0.5))  # between odds of 7 : 3 and 1 : 1


def test_a_right_emptying_outweighs_wrong_ones_as_far_as_the_share_says():
    # One without a target, behind n targets of 100: worth it while what they cost is less.
    for targets_before, is_worth in ((60, True), (70, False)):
        flags = np.arange(101) == targets_before
        probability = np.linspace(1, 0, 101)
        rows = table(flags, j_and_f=0.6)
        cutoff = best_cutoff(rows, probability, share=0.04)
        assert (probability[targets_before] > cutoff) is np.bool_(is_worth)
        # By hand: N-acc rises by 1, J&F by the share; T-acc and J&F fall with each target.
        gain = (1 + 0.04) - targets_before / 100 * (1 + 0.96 * 0.6)
        assert (gain > 0) is is_worth


def test_a_larger_share_empties_more():
    # Of the second group a third is without a target: right at 9 %, wrong at 4 % of a small gain.
    flags = [1] * 4 + [1] * 2 + [0] * 30 + [0] * 24
    probability = np.array([0.9] * 4 + [0.3] * 32 + [0.1] * 24)
    rows = replace(table(flags, j_and_f=0.9), found=np.ones(60, bool))
    emptied = [
        int((probability > best_cutoff(rows, probability, share)).sum()) for share in (0.02, 0.9)
    ]
    assert emptied == [4, 36]


def test_sentences_that_are_equal_are_never_parted():
    rows = table([1, 1, 0, 1, 0, 0])
    probability = np.array([0.8, 0.5, 0.5, 0.5, 0.5, 0.1])
    cutoff = best_cutoff(rows, probability, share=0.5)
    kept = probability > cutoff
    assert len(set(kept[1:5])) == 1
    every_cut = [final(rows, probability, at, 0.5) for at in (1.0, 0.6, 0.3, 0.0)]
    assert final(rows, probability, cutoff, 0.5) == max(every_cut)


def test_of_two_equal_optima_the_one_that_empties_least():
    # Emptying the first gains what emptying the next two loses and the fourth gains again.
    rows = table([1, 0, 1, 0], j_and_f=1.0)
    rows = replace(rows, when_empty=np.array([1.0, 0, 1.0, 0]))
    probability = np.array([0.9, 0.7, 0.5, 0.3])
    totals = [final(rows, probability, at, 0.5) for at in (1.0, 0.8, 0.6, 0.4, 0.2)]
    assert totals[1] == pytest.approx(totals[3])  # two optima
    assert 0.7 < best_cutoff(rows, probability, 0.5) < 0.9


def test_where_nothing_gains_nothing_is_emptied():
    rows = table([0] * 99 + [1], j_and_f=0.9)
    probability = np.array([0.9] * 99 + [0.1])
    assert not (probability > best_cutoff(rows, probability, 0.01)).any()


def test_empty_votes_count_as_right_without_a_gate_and_teach_nothing():
    rows = table([1, 1, 0, 0], x=[0.0, 0.1, 0.9, 1.0])
    rows = replace(rows, found=np.array([False, True, True, True]))
    assert expected_final(rows, np.zeros(4, bool), 0.5).n_acc == 0.5
    gate = fit(rows, ("x",), 0.5)
    moved = replace(rows, evidence={"x": np.array([5.0, 0.1, 0.9, 1.0])})
    assert fit(moved, ("x",), 0.5).weights[0] < 0
    assert gate.weights[0] < 0


def separated(videos=30, noise=0.0, seed=0) -> Table:
    """Ten sentences a video, one without a target; `clue` tells, `chance` does not."""
    generator = np.random.default_rng(seed)
    flags = np.tile([1] + [0] * 9, videos)
    clue = np.where(flags, 0.2, 0.8) + noise * generator.normal(size=len(flags))
    return table(flags, videos=np.repeat(np.arange(videos), 10), clue=clue,
                 chance=generator.normal(size=len(flags)))  # fmt: skip


def test_the_evidence_that_tells_is_chosen_and_stands_on_videos_left_out():
    rows = separated(noise=0.05)
    found = calibrate(rows, 0.05, rows.kinds)
    assert found.gate.evidence == ("clue",)
    assert 0.3 < found.gate.threshold < 0.7
    assert found.before.n_acc == 0
    assert found.after.n_acc > 0.95
    assert found.after.t_acc > 0.95
    assert found.gain.low > 0.3


def test_chance_gains_nothing_out_of_fold_although_it_does_in_fold():
    rows = separated()
    rows = replace(rows, evidence={"chance": rows.evidence["chance"]})
    found = calibrate(rows, 0.05, ("chance",))
    assert found.seen.final >= found.before.final
    assert found.gain.low < 0.1
    assert found.after.final - found.before.final < 0.15
    lines = calibration_lines(found, 300, 30)
    assert (found.gain.low <= 0) == any("may gain nothing" in line for line in lines)


def test_a_second_kind_joins_where_it_adds_something():
    generator = np.random.default_rng(1)
    flags = np.tile([1] + [0] * 9, 40)
    shared = generator.normal(size=len(flags))
    rows = table(flags, videos=np.repeat(np.arange(40), 10),
                 a=shared - flags, b=shared + flags)  # fmt: skip
    found = calibrate(rows, 0.1, ("a", "b"))
    assert set(found.gate.evidence) == {"a", "b"}
    assert found.after.final > 0.8


def test_a_gate_never_sees_the_video_that_it_decides():
    # A clue that is turned around in one video: the gate of the others is wrong there.
    rows = separated(videos=10)
    clue = rows.evidence["clue"].copy()
    clue[:10] = 1 - clue[:10]
    rows = replace(rows, evidence={"clue": clue})
    emptied = left_out(rows, ("clue",), 0.05)
    assert emptied[1:10].all()
    assert not emptied[0]
    assert (emptied[10:] == rows.no_target[10:]).all()


def test_missing_evidence_counts_for_nothing():
    rows = separated()
    clue = rows.evidence["clue"].copy()
    clue[3] = np.nan
    rows = replace(rows, evidence={"clue": clue})
    gate = fit(rows, ("clue",), 0.05)
    assert probabilities(gate, rows)[3] == pytest.approx(gate.probability({}))
    assert probabilities(gate, rows)[4] == pytest.approx(gate.probability({"clue": clue[4]}))


def test_the_same_table_gives_the_same_gate():
    rows = separated(noise=0.2)
    assert calibrate(rows, 0.04, rows.kinds) == calibrate(rows, 0.04, rows.kinds)


def test_the_lines_show_the_curve_the_choice_and_the_uncertainty():
    rows = separated(noise=0.1)
    lines = calibration_lines(calibrate(rows, 0.04, rows.kinds), 300, 30)
    text = "\n".join(lines)
    assert sum("<- chosen" in line for line in lines) == 1
    assert "300 sentences, 30 without a target; weighted to a share of 4.0%" in text
    assert "95 % interval" in text
    assert "standard error of N-acc" in text
