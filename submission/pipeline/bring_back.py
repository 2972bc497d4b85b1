"""Wait for the scores of what was handed in, and bring them home: journal, run.json, page."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from submission.dataset.records import Split
from submission.errors import FaultyResult, InputError
from submission.files.whole import write_bytes
from submission.pipeline.report import report
from submission.pipeline.score import is_scored
from submission.run.folder import RunFolder
from submission.run.record import NAME as RECORD
from submission.run.results import recipe_of_run
from submission.score.score_file import read_scores
from submission.terminal.progress import Reporter
from submission.upload.answers import FAILED, FINISHED, Competition, Phase, Submission, plain
from submission.upload.codabench import Codabench
from submission.upload.journal import Attempt
from submission.upload.leaderboard import leaderboard_lines
from submission.upload.scores import failed_children, flat_scores, keep_in_run, score_lines
from submission.upload.waiting import Clock, Waited, wait

LOG_LINES = 15  # of the most telling log, on the terminal
LOGS_FIRST = ("scoring_stderr", "prediction_ingestion_stderr")  # where the reason usually stands


@dataclass(frozen=True)
class HandedIn:
    """A submission, and where what comes of it belongs."""

    server: Codabench
    attempt: Attempt
    competition: Competition
    phase: Phase
    account: str
    journal: Path
    run: RunFolder | None  # that made the zip
    split: Split | None  # that it answers, where the data are at hand


def bring_back(handed: HandedIn, seconds: float, clock: Clock, reporter: Reporter) -> list[str]:
    """Wait for the scores, keep them, and return them in lines.

    Raises FaultyResult where there are none in the end, with the reason as far as it is shown.
    """
    server, attempt, competition = handed.server, handed.attempt, handed.competition
    number = attempt.submission
    assert number is not None
    end = wait(server, number, competition.columns, len(handed.phase.tasks), seconds, clock,
               reporter.say)  # fmt: skip
    state = end.submission
    attempt.note(submission={"id": state.id, "status": state.status})
    if not end.has_scores:
        raise FaultyResult(_without_scores(handed, end))
    scores = flat_scores(server, state)
    attempt.note(scores=scores, on_leaderboard=state.on_leaderboard)
    for child in failed_children(server, state):
        reporter.warn(f"task {child.id} of this submission: {child.status}")
    lines = [f"submission   {number}: {state.status}"]
    lines += _table(handed, scores)
    lines.append(f"kept in      {handed.journal}")
    if handed.run is not None:
        lines += _keep_in_run(handed, handed.run, scores, reporter)
    if state.on_leaderboard and competition.columns:
        entries = server.leaderboard(handed.phase.id)
        lines += leaderboard_lines(
            entries, competition.columns, competition.primary, handed.account
        )
    elif competition.columns and not competition.rule.startswith("Force"):
        lines.append("not on the leaderboard: this competition wants it put there by hand")
    return lines


def _table(handed: HandedIn, scores: Mapping[str, float]) -> list[str]:
    """The server's numbers beside our own of the same zip and those published for the recipe."""
    run = handed.run
    others: dict[str, Mapping[str, float]] = {}
    source = []
    if run is not None:
        if handed.split is not None and is_scored(handed.split, run):
            ours = read_scores(run.score)
            means = ours.results[ours.choose()].means
            others["ours"] = {name: 100 * value for name, value in means.items()}
        recipe = recipe_of_run(run.path)
        if recipe is not None and recipe.published is not None:
            others["published"] = recipe.published.means
            source = [f"  published: {recipe.published.source}, on {recipe.published.split}"]
    return score_lines(scores, handed.competition.columns, others) + source


def _keep_in_run(
    handed: HandedIn, run: RunFolder, scores: Mapping[str, float], reporter: Reporter
) -> list[str]:
    """Put the scores into run.json, and onto the page where the run has one."""
    attempt = handed.attempt
    upload = {
        "server": attempt.values["server"],
        "competition": handed.competition.id,
        "title": handed.competition.title,
        "phase": handed.phase.name,
        "submission": attempt.submission,
        "created": attempt.fact("submit", "created"),
        "zip_sha256": attempt.values["zip"]["sha256"],
        "scores": dict(scores),
    }
    keep_in_run(run.path / RECORD, upload)
    recipe = recipe_of_run(run.path)
    if recipe is None or handed.split is None or not run.report.exists():
        return []
    try:
        return [f"report       {report(recipe, handed.split, run, reporter)}"]
    except InputError as error:
        reporter.warn(f"the page was not drawn again: {error}")
        return []


def _without_scores(handed: HandedIn, end: Waited) -> str:
    state = end.submission
    where = f"submission {state.id}: {state.status}"
    if not end.is_over:
        return (
            f"{where} when the time to wait was over; nothing is lost. The same command goes on "
            "waiting, --status looks once, --cancel takes it back"
        )
    if state.status == FINISHED:
        board = (
            " A board that keeps the best ranks it on top and does not let go of it: tell the "
            "organiser"
        )
        return (
            f"{where}, and no scores came: the worker could not hand them over, or they have other "
            f"columns.{board * (handed.competition.rule == 'Force_Best')}"
        )
    if state.status == FAILED:
        return "\n".join([f"{where}: {state.details}", *_logs(handed, state)])
    return f"{where}; it counts against the limits"


def _logs(handed: HandedIn, state: Submission) -> list[str]:
    """Keep the logs of a failure, and return the last lines of the most telling one."""
    logs: dict[str, str] = {}
    for number in (state.id, *state.children):
        for name, text in handed.server.logs(number).items():
            logs[name if number == state.id else f"{name}-{number}"] = text
    if not logs:
        return ["no log is shown (the phase may hide its output); failed tries are free"]
    folder = handed.journal.with_name(f"{handed.journal.stem}-logs") / str(state.id)
    for name, text in logs.items():
        write_bytes(folder / f"{Path(name).name}.txt", text.encode())
    told = next(name for want in (*LOGS_FIRST, "") for name in logs if name.startswith(want))
    tail = [plain(line) for line in logs[told].splitlines()[-LOG_LINES:]]
    return [f"{told} ends with:", *(f"  {line}" for line in tail), f"all logs: {folder}"]
