"""Everything that can be known before a zip is sent: all faults at once, and a plan in lines.

What the server says of phase, limits, registration and storage is asked here; the zip itself was
checked before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from submission.counted import counted
from submission.errors import Fault, FaultyInput, InputError
from submission.output.zip_file import LARGE_ZIP
from submission.upload.answers import APPROVED, CURRENT, Competition, Phase, Question
from submission.upload.codabench import Codabench
from submission.upload.competitions import Profile
from submission.upload.journal import ZipFile
from submission.weights.sizes import in_words

HANGING_ZIP = 1_000_000_000  # bytes; from here on the public server was seen to hang, or score 0
TRY_TAKES = 2  # times its size: the worker keeps a copy of the zip beside it


@dataclass(frozen=True)
class Standing:
    """What was asked of the server before anything was sent."""

    account: str
    competition: Competition
    phase: Phase
    free_bytes: float
    refusal: str  # why the account may not submit now; empty if it may


def choose_phase(competition: Competition, wanted: str | None) -> Phase:
    """Return the phase that is meant: by name or number, else the one that is going on."""
    phases = competition.phases
    if wanted is not None:
        named = [one for one in phases if wanted.casefold() in (one.name.casefold(), str(one.id))]
    else:
        named = [phase for phase in phases if phase.status == CURRENT]
    if len(named) == 1:
        return named[0]
    known = "; ".join(f'"{one.name}" ({one.id}, {_dates(one)}, {one.status})' for one in phases)
    what = f'no phase "{wanted}"' if wanted is not None else "no single phase is going on"
    raise InputError(
        f"competition {competition.id}: {what}; choose one with --phase: {known or 'it has none'}"
    )


def look(server: Codabench, account: str, competition: Competition, phase: Phase) -> Standing:
    """Ask the server what decides whether a zip may be sent."""
    refusal = server.refusal_to_submit(phase.id)
    return Standing(account, competition, phase, server.free_bytes(), refusal)


def refuse_faults(
    standing: Standing, file: ZipFile, answers: Mapping[str, Any] | None, found: list[Fault]
) -> None:
    """Raise FaultyInput with everything that stands against the upload, `found` first."""
    competition, phase = standing.competition, standing.phase
    faults = list(found)
    if competition.participant != APPROVED:
        faults.append(Fault(f"competition {competition.id}", _not_approved(standing)))
    elif standing.refusal:
        faults.append(Fault(f"phase {phase.name}", f"{standing.refusal} ({_limits(phase)})"))
    if phase.status != CURRENT:
        # Servers exist that take, score and count a submission to a phase that is over.
        what = f"it is not going on ({phase.status}: {_dates(phase)})"
        faults.append(Fault(f"phase {phase.name}", what))
    if TRY_TAKES * file.bytes > standing.free_bytes:
        what = (
            f"a try takes twice the zip's {in_words(file.bytes)}, and your storage there has "
            f"{in_words(standing.free_bytes)} left; delete old files on its Resources page"
        )
        faults.append(Fault("storage", what))
    faults += fact_sheet_faults(competition.questions, answers)
    if faults:
        raise FaultyInput(f"{file.path}: not uploaded, {counted(len(faults), 'fault')}:", faults)


def fact_sheet_faults(
    questions: tuple[Question, ...], answers: Mapping[str, Any] | None
) -> list[Fault]:
    """Return what is wrong with the answers to a fact sheet; the server asks for less, or breaks.

    Without a fact sheet any answers break it, and required answers that are left out pass there.
    """
    where = "fact sheet"
    if not questions:
        return [Fault(where, "this competition has none: leave out --fact-sheet")] * bool(answers)
    keys = ", ".join(question.key for question in questions)
    if answers is None:
        return [Fault(where, f"it asks for answers: --fact-sheet FILE.json with {keys}")]
    faults = [
        Fault(where, f'"{key}" is not asked for; the keys are {keys}')
        for key in answers
        if key not in {question.key for question in questions}
    ]
    for question in questions:
        answer = answers.get(question.key)
        if question.key not in answers:
            faults.append(Fault(where, f'"{question.key}" is missing'))
        elif question.is_required and answer in ("", None):
            faults.append(Fault(where, f'"{question.key}" requires an answer'))
        elif question.selection and answer and str(answer) not in question.selection:
            choice = ", ".join(question.selection)
            faults.append(Fault(where, f'"{question.key}" must be one of {choice}'))
    return faults


def plan_lines(standing: Standing, file: ZipFile, profile: Profile | None) -> list[str]:
    """Return what will be done, and what is worth knowing before."""
    competition, phase = standing.competition, standing.phase
    lines = [
        f"zip          {file.path} ({in_words(file.bytes)}, sha256 {file.sha256[:12]}...)",
        f"competition  {competition.id}, {competition.title}",
        f"phase        {phase.name}, {_dates(phase)} (UTC)",
        f"account      {standing.account}, {in_words(standing.free_bytes)} of storage left",
        f"tries        {_limits(phase)}",
    ]
    if len(phase.tasks) > 1:
        lines.append(f"tasks        {len(phase.tasks)}: the zip is scored by each of them")
    if profile is None:
        lines.append("profile      none: whether the split is the right one is not compared")
    else:
        lines.append(f"profile      {profile.title}: {profile.version}, {profile.split}")
    if competition.rule == "Force_Best":
        lines.append("leaderboard  your best submission is shown by itself")
    elif competition.rule.startswith("Force"):
        lines.append("leaderboard  your last submission is shown by itself")
    elif competition.columns:
        lines.append("leaderboard  put your submission there in the browser, after the scores")
    else:
        lines.append("leaderboard  hidden")
    return lines + [f"warning      {text}" for text in _warnings(standing, file)]


def _warnings(standing: Standing, file: ZipFile) -> list[str]:
    warnings = []
    if file.bytes > HANGING_ZIP:
        warnings.append("above 1 GB zips of PNGs were seen to hang or to score 0 without a log; "
                        '[output] png = "1bit" makes them smaller')  # fmt: skip
    elif file.bytes > LARGE_ZIP:
        warnings.append("a zip of this size takes 15 to 20 minutes to be scored, and may fail")
    if not standing.competition.starts_runs:
        warnings.append("the organiser starts each run by hand: it stays Submitting until then")
    if standing.phase.hides_output:
        warnings.append("this phase hides its output: a failure will show no log")
    return warnings


def _not_approved(standing: Standing) -> str:
    participant = standing.competition.participant
    if participant is None:
        return (
            f"{standing.account} is not registered there: open it in the browser, read its terms "
            "and register (the kit does not agree to terms for you)"
        )
    if participant == "pending":
        return f"the organiser has not yet approved {standing.account}"
    return f"{standing.account} is not an approved participant ({participant})"


def _limits(phase: Phase) -> str:
    parts = [
        f"{used} of {limit} used {when}" if limit is not None else f"{used} used {when}, no limit"
        for used, limit, when in (
            (phase.used_today, phase.limit_today, "today (UTC)"),
            (phase.used_in_all, phase.limit_in_all, "in all"),
        )
    ]
    return ", ".join(parts)


def _dates(phase: Phase) -> str:
    return f"{_day(phase.start) or '?'} to {_day(phase.end) or 'open end'}"


def _day(moment: str) -> str:
    return moment[:16].replace("T", " ")
