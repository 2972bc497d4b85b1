"""The whole way: a recipe and a split in, a checked zip out. Reads like the list of stages."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from submission.dataset.frames import open_frames
from submission.dataset.selection import Selection
from submission.device import settle_device
from submission.errors import FaultyResult, InputError
from submission.files.removal import remove_others
from submission.gate.lines import gate_lines, gate_warnings
from submission.output.check import Verdict
from submission.pipeline.check import CHECK_UNITS, check_run
from submission.pipeline.claim import answers_to_take, claim_all, refusals
from submission.pipeline.mend import drop_damaged
from submission.pipeline.pack import PACK_UNITS, pack
from submission.pipeline.plan import NO_GRAPHS, Plan, make_plan
from submission.pipeline.predict import predict
from submission.pipeline.predict_together import predict_together
from submission.pipeline.prepare import NOT_KNOWN_YET, Prepared, Site, prepare
from submission.pipeline.read import read_whole
from submission.pipeline.report import report
from submission.pipeline.score import SCORE_UNITS, drop_old_score, score_run
from submission.pipeline.team import Team, open_team
from submission.pipeline.truth import settle_truth
from submission.pipeline.vote import VOTE_UNITS, odd_answers, vote
from submission.recipes.recipe import Recipe
from submission.recipes.stored import as_json
from submission.report.writing import REPORT_UNITS
from submission.run.folder import RunFolder
from submission.run.holding import hold, refuse_no_folder, refuse_no_run
from submission.run.record import (
    RunRecord,
    describe_checkpoints,
    describe_data,
    refuse_other_data,
)
from submission.score.score_file import Scores
from submission.terminal.progress import Reporter, stopwatch
from submission.weights.folders import Weights
from submission.weights.to_come import lines, room


@dataclass(frozen=True)
class Outcome:
    """What a finished run has to show."""

    verdict: Verdict
    scores: Scores | None  # None where the split has no ground truth
    report: Path


class Run:
    """A recipe applied to a checked split, in a run folder."""

    def __init__(
        self, recipe: Recipe, selection: Selection | None = None, folder: str | Path | None = None,
        reporter: Reporter | None = None, weights: Weights | None = None, *, hash_all: bool = False,
        mend: bool = False,
    ) -> None:  # fmt: skip
        """Read and check the data that the recipe names; nothing is loaded and nothing written.

        Without them: the whole split, the folder runs/NAME of the recipe's name, and progress as
        lines on standard error. Raises InputError or FaultyInput for data that is not right.
        """
        folder = Path(folder or Path("runs") / recipe.name)
        selection, reporter = selection or Selection(), reporter or Reporter("plain")
        self.recipe = recipe
        self.selection = selection
        self.reporter = reporter
        self.weights = weights or Weights()
        self.hash_all = hash_all  # read every byte of the checkpoints before they are opened
        self.mend = mend  # drop damaged predictions, and make exactly these again
        whole = read_whole(recipe.data, reporter)
        self.split = selection.of(whole)
        self.version = whole.version  # a part of v2 may have a target for each of its sentences
        self.videos = frozenset(video.name for video in whole.videos)  # all of the split
        self.folder = RunFolder(folder)
        self._is_held = False
        self.reporter.folder = folder
        self._record: RunRecord | None = None

    def plan(self) -> Plan:
        """Count what is to do, without loading anything."""
        refuse_no_folder(self.folder.path)
        refuse_other_data(self.folder.path, self.split)
        self.split = settle_truth(self.split, self.folder, self.reporter, keep=False)
        if self.mend:
            drop_damaged(self.recipe, self.split, self.folder.store, self.reporter, dry=True)
        prepared = self._prepare()
        for words in answers_to_take(prepared, self.folder.store):
            self.reporter.say(words)
        for words in refusals(prepared, self.folder.store, mend=self.mend):
            self.reporter.warn(words)
        named = dict.fromkeys(n for expert in prepared.experts for n in expert.checkpoints())
        locked = [name for name in named if self.weights.lock.find(name)]
        plan = make_plan(prepared, self.recipe.png)
        return replace(
            plan, gate=self._gate_in_words(), weights=tuple(lines(locked, self.weights)),
            disk=room(self.folder.path, plan.run_bytes),
        )  # fmt: skip

    def _gate_in_words(self) -> tuple[str, ...]:
        gate = self.recipe.gate
        return tuple(gate_lines(gate, self.version, self._experts)) if gate else ()

    @property
    def _experts(self) -> list[str]:
        return [expert.name for expert in self.recipe.experts]

    def predict(self) -> None:
        """Let every expert answer what it has not answered yet; parts of a split side by side."""
        with self._held(together=self.selection.is_part and not self.mend):
            self._predict()

    def _predict(self) -> None:
        if self.mend:
            drop_damaged(self.recipe, self.split, self.folder.store, self.reporter)
        with self._team() as team:
            self._predict_with(team)

    @contextmanager
    def _team(self) -> Iterator[Team | None]:
        """The workers, where the recipe asks for some and there is something left to do."""
        compute, store = self.recipe.compute, self.folder.store
        names = [expert.name for expert in self.recipe.entries]
        # On a cluster only a worker knows with what precision the answers were made.
        if not compute.ray and not (compute.workers and store.lacks(names, self.split)):
            yield None
            return
        # What is wrong here is told before Ray starts; with --verify, bytes are hashed only once.
        self._prepare(NOT_KNOWN_YET, to_run=not self.hash_all)
        with open_team(
            self.recipe, self.split, self.weights, self.reporter, hash_all=self.hash_all
        ) as team:
            yield team

    def _predict_with(self, team: Team | None) -> None:
        site, store = team.site if team else None, self.folder.store
        prepared = self._prepare(site, to_run=True)
        for expert in prepared.experts:
            for words in expert.warnings():
                self.reporter.warn(f"expert {expert.name} {words}")
        if prepared.compute.compile != "off" and prepared.gpu is None:
            self.reporter.warn(NO_GRAPHS)
        if claim_all(prepared, store, self.reporter, mend=self.mend):
            prepared = self._prepare(site, to_run=True)  # with what came or went
        self.reporter.plan(prepared.num_masks)
        with self._timed("predict") as record:
            if team is None:
                result = predict(prepared, open_frames(self.split), store, self.reporter)
            else:
                try:
                    result = predict_together(prepared, team, store, self.reporter)
                finally:
                    record.workers = team.to_json()
                    team.tell_losses(self.reporter)
            result.add_to(record.seconds)
            record.attention |= result.ran_on
            if prepared.num_masks:
                self.reporter.detail(result.in_words())
            result.refuse_faults()

    def _prepare(self, site: Site | None = None, *, to_run: bool = False) -> Prepared:
        return prepare(
            self.recipe, self.split, self.folder.store, self.weights, self.reporter,
            hash_all=self.hash_all, to_run=to_run, site=site,
        )  # fmt: skip

    def vote(self) -> None:
        """Join the experts' masks and write the PNGs."""
        refuse_no_run(self.folder.path)
        with self._held():
            self._vote()

    def _vote(self) -> None:
        with self._timed("vote"):
            if gate := self.recipe.gate:
                for words in gate_warnings(gate, self.version, self._experts):
                    self.reporter.warn(words)
            remove_others(self.folder.annotations, self.videos)  # those of another split
            vote(self.recipe, self.split, self.folder, self.reporter)
        odd = odd_answers(self.recipe, self.split, self.folder)
        for words in odd:
            self.reporter.warn(words)
        assert self._record is not None
        self._record.save(warnings=odd)

    def pack(self) -> None:
        """Pack the PNGs into the zip."""
        refuse_no_run(self.folder.path)
        with self._held(), self._timed("pack"):
            pack(self.recipe, self.split, self.folder, self.reporter)

    def check(self) -> Verdict:
        """Read the zip as the judge does."""
        with self._held(), self._timed("check"):
            return check_run(
                self.split, self.folder, require_team=self.recipe.team is not None,
                reporter=self.reporter,
            )  # fmt: skip

    def score(self) -> Scores | None:
        """Score the result, where the split has ground truth that can be used."""
        if self.split.mask_file is None:
            with self._held():
                drop_old_score(self.folder, self.reporter)
            return None
        with self._held(), self._timed("score"):
            return score_run(self.split, self.folder, self.reporter)

    def report(self) -> Path:
        """Write the page about the run and return its path; run.json stays as the work left it."""
        refuse_no_run(self.folder.path)
        with self._held():
            self.split = settle_truth(self.split, self.folder, self.reporter)
            return report(self.recipe, self.split, self.folder, self.reporter)

    def submit(self) -> Outcome:
        """Go the whole way; raise FaultyResult when the zip has faults."""
        if self.selection.shard is not None:
            raise InputError(
                "a shard alone cannot be submitted: run predict --shard i/n for every i with the "
                "same --run, and then submit without --shard"
            )
        if not self.recipe.compute.ray:  # refuse a wrong one before anything is written
            settle_device(self.recipe.compute.device)
        with self._held():
            return self._submit()

    def _submit(self) -> Outcome:
        self.split = settle_truth(self.split, self.folder, self.reporter)
        members = len(self.recipe.experts)
        after = VOTE_UNITS + PACK_UNITS + CHECK_UNITS + SCORE_UNITS * (members + 1) + REPORT_UNITS
        self.reporter.plan(self.split.num_masks * after)
        self.predict()
        self.vote()
        self.pack()
        verdict = self.check()
        if not verdict.ok:
            raise FaultyResult(verdict.summary())
        return Outcome(verdict, self.score(), self.report())

    @contextmanager
    def _held(self, *, together: bool = False) -> Iterator[None]:
        """Hold the run folder, unless this run does already; refuse that of another split."""
        if self._is_held:
            yield
            return
        refuse_other_data(self.folder.path, self.split)
        with hold(self.folder.path, self.reporter, together=together):
            refuse_other_data(self.folder.path, self.split)  # another process may have begun it
            self._is_held = True
            try:
                yield
            finally:
                self._is_held = False
                self._record = None  # what is called later is a call of its own

    @contextmanager
    def _timed(self, stage: str) -> Iterator[RunRecord]:
        """Keep the run record up to date around a stage, also when the stage fails."""
        if self._record is None:
            identities = {
                expert.name: self.folder.store.identity(expert.name)
                for expert in self.recipe.entries
            }
            self._record = RunRecord(
                self.folder.path,
                recipe=as_json(self.recipe),
                data=describe_data(self.split, self.selection.is_part),
                experts=identities,
                checkpoints=describe_checkpoints(identities.values(), self.weights.lock),
            )
            self.reporter.keep_log(self.folder.log)
        try:
            with stopwatch(self._record.seconds, stage):
                yield self._record
        finally:
            self._record.save()
