"""Wait for a submission: what its state means, until when, and for scores that come late."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from submission.errors import InputError
from submission.upload.answers import (
    CANCELLED,
    FINISHED,
    SUBMITTED,
    SUBMITTING,
    Column,
    Submission,
)
from submission.upload.codabench import Codabench
from submission.upload.transport import Unreachable

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 30.0  # seconds between two looks
LATE_SCORES = 600.0  # seconds after Finished; scores were seen to come five after it
STAYS = 120.0  # seconds after which a state is told with its meaning
TELL_AGAIN = 600.0  # seconds

MEANINGS = {
    SUBMITTING: "the site itself has not passed it on yet. When it stays: the site's own worker is "
    "down, or the organiser starts runs by hand",
    SUBMITTED: "it waits in the queue. When it stays: no compute worker is there to take it. "
    "Nothing but the organiser helps; cancelling uses up a try",
    "Preparing": "a worker fetches the zip and the scoring program; minutes for a large zip",
    "Running": "a program runs on the worker",
    "Scoring": "the zip is being scored",
    FINISHED: "the scores are on their way",
}


@dataclass(frozen=True)
class Clock:
    """The time, and how to let it pass."""

    now: Callable[[], float]
    pause: Callable[[float], Any]


@dataclass(frozen=True)
class Waited:
    """How waiting ended."""

    submission: Submission
    is_over: bool  # False: the time was up first
    has_scores: bool


def wait(
    server: Codabench, number: int, columns: tuple[Column, ...], tasks: int, seconds: float,
    clock: Clock, tell: Callable[[str], None],
) -> Waited:  # fmt: skip
    """Look until a submission has ended and has its scores, or `seconds` are over.

    Finished is no end by itself: scores come after it, column by column, and a damaged file of
    scores turns it into Failed. `tell` gets each change, and what a state that stays means.
    """
    started, finished_at = clock.now(), None
    saying = _Saying(clock, tell)
    before: Submission | None = None
    for pause in _pauses():
        state = _look(server, number, saying)
        now = clock.now()
        if state is not None:
            saying.state(state)
            if state.status != FINISHED:
                finished_at = None
                if state.has_ended:
                    return Waited(state, is_over=True, has_scores=False)
            else:
                if has_all_scores(state, columns, tasks, before):
                    return Waited(state, is_over=True, has_scores=True)
                finished_at = finished_at or now
                if now - finished_at >= LATE_SCORES:
                    return Waited(state, is_over=True, has_scores=False)
            before = state
        if now - started >= seconds:
            state = state or before
            if state is None:
                raise Unreachable(f"{server.http.host} could not be reached: try again later")
            return Waited(state, is_over=False, has_scores=False)
        clock.pause(min(pause, max(0.1, started + seconds - now)))
    raise AssertionError("pauses never end")


def has_all_scores(
    state: Submission, columns: tuple[Column, ...], tasks: int, before: Submission | None
) -> bool:
    """Tell whether every column has a value of every task.

    Where the leaderboard is hidden nobody says which columns there are: then two looks at a
    finished submission must have seen the same scores.
    """
    if columns:
        return all(len(state.scores.get(column.key, ())) >= max(tasks, 1) for column in columns)
    settled = before is not None and before.status == FINISHED and before.scores == state.scores
    return bool(state.scores) and settled


def cancel(
    server: Codabench, number: int, seconds: float, clock: Clock, tell: Callable[[str], None]
) -> Submission:
    """Cancel a submission, and return it as it stands afterwards.

    While it is Submitting a cancel is confirmed and lost, so that is waited out first, for at
    most `seconds`. Raises InputError when it stays so, or has ended before.
    """
    started = clock.now()
    for pause in _pauses():
        state = server.submission(number)
        if state.has_ended:
            raise InputError(f"submission {number} is {state.status}: there is nothing to cancel")
        if state.status != SUBMITTING:
            break
        if clock.now() - started >= seconds:
            raise InputError(
                f"submission {number} is still {SUBMITTING}: the server would confirm a cancel "
                "now and run it all the same. Repeat the command later"
            )
        tell(f"still {SUBMITTING}: a cancel would be lost; waiting for {SUBMITTED}")
        clock.pause(pause)
    server.cancel(number)
    state = server.submission(number)
    if state.status != CANCELLED:
        clock.pause(FIRST_PAUSE)
        state = server.submission(number)
    return state


def _look(server: Codabench, number: int, saying: "_Saying") -> Submission | None:
    """Return the state; None while the server cannot be reached, which ends no waiting."""
    try:
        return server.submission(number)
    except Unreachable as error:
        saying.trouble(str(error))
        return None


def _pauses() -> Iterator[float]:
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(LONGEST_PAUSE, pause * 1.5)


class _Saying:
    """Tells a state when it changes, its meaning when it stays, and then now and again."""

    def __init__(self, clock: Clock, tell: Callable[[str], None]) -> None:
        self._clock, self._tell = clock, tell
        self._status, self._since, self._told_until = "", clock.now(), 0.0

    def state(self, state: Submission) -> None:
        now = self._clock.now()
        if state.status != self._status:
            self._status, self._since, self._told_until = state.status, now, now + STAYS
            self._tell(f"submission {state.id}: {state.status}")
        elif now >= self._told_until:
            self._told_until = now + TELL_AGAIN
            meaning = MEANINGS.get(state.status, "no end state")
            minutes = (now - self._since) / 60
            self._tell(f"submission {state.id}: {state.status} for {minutes:.0f} min: {meaning}")

    def trouble(self, text: str) -> None:
        self._tell(f"{text}. Waiting goes on")
