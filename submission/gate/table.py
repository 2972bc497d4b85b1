"""[gate] of a recipe: a calibration, or one evidence and its bound, and the judge that is asked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from submission.errors import Fault, InputError
from submission.files.read_record import read_record
from submission.files.user_paths import expand
from submission.gate.calibration_file import read_calibration
from submission.gate.decision import Gate
from submission.gate.evidence import KINDS as EVIDENCE
from submission.gate.judge import EXISTENCE, LEAST_PIXELS
from submission.gate.judge import Settings as Judge


@dataclass(frozen=True)
class Table:
    """Its keys."""

    calibration: str = ""  # a file that `calibrate` wrote
    evidence: str = ""
    below: float | None = None
    judge: str = ""  # a plain Qwen-VL: a folder, or a name in weights.lock
    audit: bool = False  # it is asked about the parts of a sentence, too
    frames: Annotated[int, Field(ge=1)] = Judge.frames  # that it sees
    max_pixels: Annotated[int, Field(ge=LEAST_PIXELS)] = Judge.max_pixels  # of one of them

    @property
    def judge_settings(self) -> Judge | None:
        """What the table says of the judge; None without one."""
        return Judge(self.judge, self.frames, self.max_pixels, self.audit) if self.judge else None


def read_gate(
    table: Mapping[str, Any], folder: Path, faults: list[Fault]
) -> tuple[Gate | None, Judge | None]:
    """Return the gate and its judge, None where there is none; what is wrong goes to `faults`.

    A judge alone decides nothing, and what it says is kept and shown. Paths are relative to
    `folder`.
    """
    read = read_record(Table, table, "[gate] ", faults)
    if read is None:
        return None, None
    judge = read.judge_settings
    if judge is None:
        idle = [key for key in ("audit", "frames", "max_pixels") if key in table]
        faults += (Fault(f"[gate] {key}", "it has no effect without judge") for key in idle)
    gate: Gate | None = None
    by_hand = bool(read.evidence)
    if judge and table.keys() <= {"judge", "audit", "frames", "max_pixels"}:
        gate = Gate.idle(EXISTENCE)
    elif bool(read.calibration) == by_hand or by_hand != (read.below is not None):
        faults.append(Fault("[gate]", "it needs calibration, or evidence and below"))
    elif by_hand and read.evidence not in EVIDENCE:
        known = ", ".join(EVIDENCE)
        faults.append(Fault("[gate] evidence", f'"{read.evidence}"; the kinds are {known}'))
    elif read.below is not None:
        gate = Gate.below(read.evidence, read.below)
    else:
        try:
            gate = read_calibration(folder / expand(read.calibration))
        except InputError as error:
            faults.append(Fault("[gate] calibration", str(error)))
    faults += _unasked(gate, judge)
    faults += _asked_otherwise(gate, judge)
    return gate, judge


def _asked_otherwise(gate: Gate | None, judge: Judge | None) -> Iterator[Fault]:
    """What a judge sees here and did not see when the gate was calibrated, or the other way."""
    if gate and gate.judge and judge:
        for key in ("frames", "max_pixels"):
            before, now = getattr(gate.judge, key), getattr(judge, key)
            if before != now:
                words = (
                    f"{now}, and the gate was calibrated with a judge that had {before}: set "
                    f"{key} = {before}, or calibrate again: mevis-submission calibrate --run RUN"
                )
                yield Fault(f"[gate] {key}", words)


def _unasked(gate: Gate | None, judge: Judge | None) -> Iterator[Fault]:
    """Evidence of a judge that the gate reads and nobody asks for."""
    for kind in gate.evidence if gate else ():
        if kind.startswith(EXISTENCE) and judge is None:
            yield Fault("[gate]", f'it reads "{kind}", which a judge says: set judge')
        elif kind.startswith(f"{EXISTENCE}_") and judge and not judge.audit:
            yield Fault("[gate]", f'it reads "{kind}" of the judge\'s audit: set audit = true')
