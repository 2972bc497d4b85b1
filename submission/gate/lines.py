"""A calibration in words: the curve with the chosen point, what it is worth, what is uncertain."""

from collections.abc import Collection, Iterator, Sequence

from submission.counted import counted
from submission.gate.calibration import RESAMPLES, SEED, Calibration
from submission.gate.decision import Gate
from submission.gate.labelled import Final


def calibration_lines(calibration: Calibration, sentences: int, no_target: int) -> list[str]:
    """Return the outcome of a calibration; numbers in percent."""
    gate, share = calibration.gate, calibration.gate.share or 0.0
    points = 100 * calibration.n_acc_error
    gain = calibration.after.final - calibration.before.final
    lines = [
        f"{counted(sentences, 'sentence')}, {no_target} without a target; "
        f"weighted to a share of {share:.1%}",
        f"rule       {gate.in_words()}",
        f"           the best of {calibration.tried} combinations tried",
        "",
        "  cutoff  targets emptied   N-acc   T-acc     J&F   Final",
    ]
    for cutoff, emptied, final in calibration.curve:
        mark = "  <- chosen" if cutoff == gate.cutoff else ""
        lines.append(f"  {cutoff:.4f}  {_percent(emptied):>15}  {_row(final)}{mark}")
    lines += [
        "  (the curve is of all videos, which the gate has seen; what follows is not)",
        "",
        f"  without a gate           {_row(calibration.before)}",
        f"  with it, videos left out {_row(calibration.after)}",
        f"gain of Final: {100 * gain:+.2f} points, 95 % interval {100 * calibration.gain.low:+.2f} "
        f"to {100 * calibration.gain.high:+.2f} (whole videos drawn, {RESAMPLES} resamples, seed "
        f"{SEED})",
        f"{no_target} no-target sentences: the standard error of N-acc is {points:.1f} points, "
        f"that is {points / 3:.1f} of Final",
    ]
    if calibration.gain.low <= 0:
        lines.append("the interval holds 0: this gate may gain nothing; label more sentences")
    return lines


def gate_lines(gate: Gate, version: str, experts: Collection[str]) -> list[str]:
    """Return what a dry run says of a gate: its rule, and what speaks against using it here.

    `version` is that of the data, v1 or v2, and `experts` are those of the run.
    """
    share = f" (for a share of {gate.share:.1%})" if gate.share is not None else ""
    judge = f"; calibrated with {gate.judge.checkpoint}" if gate.judge else ""
    lines = [f"gate       {gate.in_words()}{share}{judge}"]
    if gate.is_idle:
        lines[0] += "; mevis-submission calibrate finds what is worth emptying"
    if "agreement" in gate.evidence and len(experts) < 2:
        lines.append("warning    agreement takes two experts or more: here it counts for nothing")
    return lines + [f"warning    {words}" for words in gate_warnings(gate, version, experts)]


def gate_warnings(gate: Gate, version: str, experts: Collection[str]) -> Iterator[str]:
    """Say what speaks against using a gate here; it is used all the same."""
    if version == "v1" and not gate.is_idle:
        yield (
            "this split is of MeViS v1, where every sentence has a target: a gate can only lose "
            "there; take [gate] out"
        )
    if gate.experts and set(gate.experts) != set(experts):
        yield (
            f"the gate was calibrated on other experts ({', '.join(gate.experts)}): its evidence "
            "may mean something else here"
        )
    if gate.experts and gate.reads_judge and gate.judge is None:
        yield (
            "the gate's calibration does not say which judge it was made with, so nobody can see "
            "that it is this one; calibrating again records it: mevis-submission calibrate"
        )


def evidence_warnings(gate: Gate, evidence: Sequence[Collection[str]]) -> Iterator[str]:
    """Say what a gate reads and sentences lack; `evidence` has the kinds that each of them has."""
    for name in gate.evidence:
        if lacking := sum(name not in kinds for kinds in evidence):
            yield (
                f"the gate reads {name}, which {lacking} of {counted(len(evidence), 'sentence')} "
                "lack, so there it counts for nothing; docs/gate.md says where it comes from"
            )


def _row(final: Final) -> str:
    values = (final.n_acc, final.t_acc, final.j_and_f, final.final)
    return "  ".join(f"{_percent(value):>6}" for value in values)


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"
