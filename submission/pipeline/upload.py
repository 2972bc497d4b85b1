"""Hand a zip in and bring its scores back; reads like the list of what is done, in order."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from submission.dataset.records import DataNames, Split
from submission.dataset.selection import Selection
from submission.errors import Fault, FaultyInput, FaultyResult, InputError
from submission.files.strict_json import read_json
from submission.pipeline.bring_back import HandedIn, bring_back
from submission.pipeline.check import CHECK_UNITS, check_files, check_run, keep_verdict
from submission.pipeline.pack import is_outvoted
from submission.pipeline.read import read_data
from submission.run.folder import RunFolder
from submission.run.record import NAME as RECORD
from submission.terminal.progress import Reporter
from submission.upload import preflight
from submission.upload.answers import Competition, Phase
from submission.upload.codabench import Codabench
from submission.upload.competitions import SERVER, Profile, misfits, profiles
from submission.upload.credentials import sign_in
from submission.upload.journal import NAME as JOURNAL
from submission.upload.journal import Attempt, Journal, Target, ZipFile, read_zip
from submission.upload.leaderboard import leaderboard_lines
from submission.upload.scores import flat_scores, score_lines
from submission.upload.steps import hand_in, mark, recover
from submission.upload.transport import Transport
from submission.upload.waiting import Clock, cancel
from submission.weights.retry import Patience

UPLOAD_UNITS = 0.1  # cost of a megabyte; predicting a mask is 1


@dataclass(frozen=True)
class Call:
    """What is to be uploaded where, and how long to wait; a number of None is not told."""

    path: Path
    competition: int | None
    phase: str | None = None
    server: str = SERVER
    answers: Mapping[str, Any] | None = None  # to the fact sheet
    seconds: float = 7200.0
    again: bool = False  # submit once more what was submitted


class Upload:
    """A zip, its journal, and one server."""

    def __init__(
        self, call: Call, reporter: Reporter, clock: Clock | None = None,
        patience: Patience | None = None,
    ) -> None:  # fmt: skip
        self.call, self.reporter = call, reporter
        self.clock = clock or Clock(time.time, time.sleep)
        folder = call.path if call.path.is_dir() else call.path.parent
        self.zip = RunFolder(folder).zip if call.path.is_dir() else call.path
        is_of_run = (folder / RECORD).is_file() and self.zip == RunFolder(folder).zip
        self.run = RunFolder(folder) if is_of_run else None  # the run that made this zip
        name = JOURNAL if is_of_run else f"{self.zip.name}.{JOURNAL}"
        self.journal = Journal(self.zip.parent / name, self.clock.now)
        http = Transport(call.server, patience or Patience(), self.clock.pause)
        self.server = Codabench(http)
        self.account = ""
        self.split: Split | None = None

    def send(self, data: DataNames, *, dry: bool, agreed: bool) -> list[str]:
        """Check, submit once, wait; return the lines that tell the outcome.

        `data` names the split that the zip answers. Raises InputError with all that stands
        against it, and FaultyResult where there are no scores in the end.
        """
        if self.call.competition is None:
            raise InputError("--competition NUMBER is missing; known numbers are in docs/upload.md")
        file = read_zip(self.zip)
        try:
            self._sign_in()
        except InputError as error:
            if dry:
                self._look_without_server(data, error)
            raise
        competition = self.server.competition(self.call.competition)
        phase = preflight.choose_phase(competition, self.call.phase)
        target = Target(self.server.http.server, competition.id, phase.id)
        with self.journal.alone():
            attempt = self._earlier(target, file)
            if attempt is None or attempt.submission is None:
                lines = self._prepare(data, competition, phase, file)
                if dry:
                    return lines
                self._agree(lines, attempt, agreed)
                attempt = attempt or self.journal.begin(target, file)
                self._hand_in(attempt, file)
            elif dry:
                return [f"submitted    already: number {attempt.submission}; --status looks at it"]
        with suppress(InputError):  # the data may be gone; then ours is not shown beside theirs
            self.split = self.split or read_data(data, Selection(), self.reporter)
        handed = HandedIn(self.server, attempt, competition, phase, self.account,
                          self.journal.path, self.run, self.split)  # fmt: skip
        return bring_back(handed, self.call.seconds, self.clock, self.reporter)

    def status(self) -> list[str]:
        """Return how the last upload from here stands, as the server says now."""
        attempt = self._last()
        self._sign_in()
        number = attempt.submission
        if number is None:
            done = [step for step in attempt.values["steps"] if attempt.is_done(step)]
            return [f"not submitted yet; finished steps: {', '.join(done) or 'none'}"]
        state = self.server.submission(number)
        lines = [f"submission {number}: {state.status}, made {state.created}"]
        if state.has_ended and state.scores:
            lines += score_lines(flat_scores(self.server, state), (), {})
        return lines

    def cancel(self, *, agreed: bool) -> list[str]:
        """Cancel the last upload from here; return what became of it."""
        number = self._last().submission
        if number is None:
            raise InputError(f"{self.journal.path}: nothing was submitted, so there is no cancel")
        self._sign_in()
        self._confirm("A cancelled submission counts against the limits. Cancel?", agreed)
        state = cancel(self.server, number, self.call.seconds, self.clock, self.reporter.say)
        if not state.has_ended:
            raise FaultyResult(f"submission {number}: still {state.status} after the cancel")
        return [f"submission {number}: {state.status}"]

    def leaderboard(self) -> list[str]:
        """Return our place and its neighbours."""
        number = self.call.competition or self._last().values["competition"]
        self._sign_in()
        competition = self.server.competition(number)
        phase = preflight.choose_phase(competition, self.call.phase)
        if not competition.columns:
            return ["the leaderboard is hidden"]
        entries = self.server.leaderboard(phase.id)
        return leaderboard_lines(entries, competition.columns, competition.primary, self.account)

    def _sign_in(self) -> None:
        ask = self.reporter.ask if self.reporter.can_ask else None
        self.account = sign_in(self.server, ask, lambda text: self.reporter.ask(text, hidden=True))

    def _last(self) -> Attempt:
        attempts = [
            attempt
            for attempt in self.journal.attempts
            if self.call.competition in (None, attempt.values["competition"])
        ]
        if not attempts:
            raise InputError(f"{self.journal.path}: nothing was uploaded from here yet")
        return attempts[-1]

    def _earlier(self, target: Target, file: ZipFile) -> Attempt | None:
        """The attempt to go on with: the journal's, or one whose journal is not here."""
        attempt = self.journal.find(target, file.sha256)
        if attempt is not None and attempt.submission is None and attempt.is_begun("submit"):
            recover(self.server, attempt, self.clock.pause)
        if self.call.again and attempt is not None and attempt.submission is not None:
            return None
        if attempt is None and not self.call.again:
            found = self.server.find(target.phase, mark(file))
            if found:
                attempt = self.journal.begin(target, file)
                attempt.begin("submit")
                attempt.finish("submit", id=found[-1].id, created=found[-1].created)
        if attempt is not None and attempt.submission is not None:
            self.reporter.say(
                f"this zip was submitted before (number {attempt.submission}), so it is not sent "
                "again; --again would use another try"
            )
        return attempt

    def _look_without_server(self, data: DataNames, error: InputError) -> NoReturn:
        """Raise what is wrong with the zip itself, else that only the server was not asked."""
        split = read_data(data, Selection(), self.reporter)
        profile, faults = self._faults_here(split)
        if faults:
            raise FaultyInput(f"{self.zip}: not uploaded, nor asked about: {error}", faults)
        self._check(split, require_team=profile is not None and profile.team)
        raise InputError(f"{self.zip}: no faults, but the server was not asked: {error}") from error

    def _faults_here(self, split: Split) -> tuple[Profile | None, list[Fault]]:
        """What is known of the competition without asking, and what speaks against the split."""
        is_known = self.server.http.server == SERVER
        profile = profiles().get(self.call.competition or 0) if is_known else None
        faults = misfits(profile, split) if profile else []
        part = "the last call on its run was of a part of the split: submit the whole of it first"
        faults += [Fault(str(self.zip), part)] * self._is_part()
        if self.run is not None and is_outvoted(split, self.run):
            what = "masks were voted on again since it was packed: submit, or pack, makes it anew"
            faults.append(Fault(str(self.zip), what))
        return profile, faults

    def _prepare(
        self, data: DataNames, competition: Competition, phase: Phase, file: ZipFile
    ) -> list[str]:
        """Check everything; return what will be done."""
        self.split = split = read_data(data, Selection(), self.reporter)
        profile, faults = self._faults_here(split)
        standing = preflight.look(self.server, self.account, competition, phase)
        preflight.refuse_faults(standing, file, self.call.answers, faults)
        self._check(split, require_team=profile is not None and profile.team)
        return preflight.plan_lines(standing, file, profile)

    def _is_part(self) -> bool:
        if self.run is None:
            return False
        return bool(read_json(self.run.path / RECORD)["data"]["is_part"])

    def _check(self, split: Split, *, require_team: bool) -> None:
        self.reporter.plan(split.num_masks * CHECK_UNITS)
        if self.run is not None:
            verdict = check_run(split, self.run, require_team=require_team, reporter=self.reporter)
        else:
            out = self.zip.with_name(f"{self.zip.name}.check.json")
            verdict = check_files(
                self.zip, split, require_team=require_team, reporter=self.reporter
            )
            keep_verdict(verdict, out, self.reporter)
        if not verdict.ok:
            raise FaultyResult(verdict.summary())

    def _agree(self, lines: list[str], attempt: Attempt | None, agreed: bool) -> None:
        for line in lines:
            self.reporter.say(line)
        if attempt is not None:
            self.reporter.say("going on where an earlier call was stopped")
        else:
            self._confirm("This uses one try. Submit?", agreed)

    def _confirm(self, question: str, agreed: bool) -> None:
        if agreed:
            return
        if not self.reporter.can_ask:
            raise InputError(f"{question} Nobody is here to be asked: add --yes")
        if self.reporter.ask(f"{question} [y/N] ").casefold() not in ("y", "yes"):
            raise InputError("nothing was sent")

    def _hand_in(self, attempt: Attempt, file: ZipFile) -> None:
        units = UPLOAD_UNITS * file.bytes / 1e6
        self.reporter.plan(units)
        self.reporter.stage("upload")
        told = 0

        def count(position: int) -> None:
            nonlocal told
            facts = f"{position / 1e6:.1f} of {file.bytes / 1e6:.1f} MB"
            self.reporter.advance(units * (position - told) / file.bytes, facts)
            told = position

        answers = dict(self.call.answers) if self.call.answers is not None else None
        number = hand_in(self.server, attempt, file, answers, count, self.clock.pause)
        self.reporter.say(f"submission {number}: handed in")
