"""The JSON that `calibrate` writes and `[gate] calibration` reads."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from submission.errors import InputError
from submission.files.strict_json import read_json
from submission.files.whole import write_json
from submission.gate.calibration import Calibration
from submission.gate.decision import MOST_KINDS, Gate
from submission.gate.evidence import KINDS
from submission.gate.judge import Calibrated
from submission.gate.labelled import Final


def write_calibration(path: Path, calibration: Calibration, made_from: Mapping[str, Any]) -> None:
    """Write a gate, what it was made from, and what it is worth (0..1)."""
    value = {
        "gate": asdict(calibration.gate),
        "made_from": dict(made_from),
        "without": _numbers(calibration.before),
        "with": _numbers(calibration.after),
        "gain_95": [calibration.gain.low, calibration.gain.high],
    }
    write_json(path, value)


def read_calibration(path: Path) -> Gate:
    """Return the gate of a file. Raises InputError where there is none or it is damaged."""
    if not path.is_file():
        raise InputError(f"{path}: no such calibration; make one with: mevis-submission calibrate")
    try:
        return gate_of(read_json(path)["gate"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: not a calibration ({error}); make it again with: mevis-submission calibrate"
        ) from None


def gate_of(values: Mapping[str, Any]) -> Gate:
    """Return the gate that JSON values state; raise ValueError where they make no sense."""
    lists = {name: tuple(values[name]) for name in ("evidence", "weights", "centres", "scales")}
    judge = values.get("judge")
    gate = Gate(
        **lists, bias=float(values["bias"]), cutoff=float(values["cutoff"]),
        share=values.get("share"), experts=tuple(values.get("experts", ())),
        judge=_calibrated(judge) if judge is not None else None,
    )  # fmt: skip
    if len({len(one) for one in lists.values()}) != 1 or not 1 <= len(gate.evidence) <= MOST_KINDS:
        raise ValueError(f"a gate has 1 to {MOST_KINDS} kinds of evidence, each with its numbers")
    if unknown := [name for name in gate.evidence if name not in KINDS]:
        raise ValueError(f"unknown evidence: {', '.join(unknown)}")
    if not 0 <= gate.cutoff <= 1 or not all(scale > 0 for scale in gate.scales):
        raise ValueError("the cutoff must lie in 0..1 and scales above 0")
    return gate


def _calibrated(values: Any) -> Calibrated:
    judge, kinds = Calibrated(**values), (str, int, int, dict)
    given = (judge.checkpoint, judge.frames, judge.max_pixels, judge.files)
    if not all(isinstance(one, kind) for one, kind in zip(given, kinds, strict=True)):
        raise ValueError("its judge has a name, frames, max_pixels and files")
    return judge


def _numbers(final: Final) -> dict[str, float]:
    return {
        "J&F": final.j_and_f, "N-acc": final.n_acc, "T-acc": final.t_acc, "Final": final.final,
    }  # fmt: skip
