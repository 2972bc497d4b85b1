"""CPU half: prediction store -> vote -> gate -> PNGs; no torch here.

A video whose answers, rules, code and PNGs are those of the last time is not voted on again. Votes
are cast in several processes, one video at a time; a stop loses the videos that were under way and
no other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from submission.code_digest import code_digest
from submission.dataset.records import Expression, Split, Video
from submission.files.removal import remove, remove_others
from submission.gate.decision import Decision, Gate
from submission.gate.evidence import gather
from submission.gate.lines import evidence_warnings
from submission.masks.ballot import Answers, Voting
from submission.masks.store import Prediction, PredictionStore
from submission.masks.suspicion import Noticed, warnings
from submission.masks.track import Track
from submission.output.png_files import PngMode, write_track
from submission.pipeline.before_vote import refuse_missing, refuse_other_judge
from submission.pipeline.drawn import Checksums, checksums
from submission.pool import open_pool, work_through
from submission.recipes.recipe import Recipe
from submission.run.folder import RunFolder
from submission.run.stages import file_states
from submission.terminal.progress import Reporter

POOL_FROM = 2_000_000_000  # pixels x members from which starting processes pays
VOTE_UNITS = 0.05  # cost of a mask; predicting one is 1


@dataclass(frozen=True)
class _Ballot:
    """All that a process needs to vote on one video."""

    video: Video
    store: Path
    voting: Voting
    folder: Path
    png: PngMode
    gate: Gate | None
    judges: tuple[str, ...]


Decisions = dict[str, dict[str, Any]]  # of the gate, by expression


def vote(recipe: Recipe, split: Split, run: RunFolder, reporter: Reporter) -> None:
    """Vote on every sentence and write the PNGs of the result.

    Raises FaultyInput listing members that have no prediction for a sentence, unless the recipe
    says missing = "skip"; a sentence that no member answered is always an error.
    """
    refuse_missing(recipe, split, run.store)
    refuse_other_judge(recipe, run.store)
    todo = []
    for video in split.videos:
        inputs = _inputs(recipe, video, run)
        if not (run.stages.is_current(_stage(video), inputs) and _is_drawn(video, run)):
            todo.append((video, inputs))
    if not todo:
        return
    reporter.stage("vote")
    work = sum(_pixels(video) for video, _ in todo) * len(recipe.experts)
    with open_pool(pays=work >= POOL_FROM) as pool:
        calls = ((one, _cast, (_ballot(recipe, one[0], run),)) for one in todo)
        for number, ((video, inputs), cast) in enumerate(work_through(pool, calls), 1):
            decisions, noticed, pngs = cast
            gate = {"gate": decisions} if recipe.gate else {}
            run.stages.record(_stage(video), inputs, noticed=noticed, pngs=pngs, **gate)
            reporter.advance(video.num_masks * VOTE_UNITS, f"video {number}/{len(todo)}")


def is_voted(recipe: Recipe, split: Split, run: RunFolder) -> bool:
    """Tell whether the last vote on every video was on these answers, by these rules."""
    return all(
        run.stages.is_current(_stage(video), _inputs(recipe, video, run)) for video in split.videos
    )


def gate_decisions(recipe: Recipe, video: Video, run: RunFolder) -> Decisions:
    """Return what the gate says of a video's sentences: as stored, or as it would say now."""
    if recipe.gate is None:
        return {}
    if run.stages.is_current(_stage(video), _inputs(recipe, video, run)):
        return dict(run.stages.read(_stage(video))["gate"])
    ballot = _ballot(recipe, video, run)
    return {one.id: asdict(decision) for one, _, _, decision in _results(ballot) if decision}


def vote_records(split: Split, run: RunFolder) -> list[Any]:
    """Return what the last vote on each video was made from, None where there was none."""
    return [run.stages.read(_stage(video)).get("inputs") for video in split.videos]


def odd_answers(recipe: Recipe, split: Split, run: RunFolder) -> list[str]:
    """Say what is odd about the answers that were voted on, about the vote and its gate."""
    noticed: dict[str, Noticed] = {}
    voted, evidence = Noticed(), []
    for video in split.videos:
        stage = run.stages.read(_stage(video))
        record = stage.get("noticed", {})
        for name, found in record.get("experts", {}).items():
            noticed[name] = noticed.get(name, Noticed()) + Noticed.from_json(found)
        voted += Noticed.from_json(record.get("vote", {}))
        evidence += [decision["evidence"] for decision in stage.get("gate", {}).values()]
    of_gate = evidence_warnings(recipe.gate, evidence) if recipe.gate else ()
    return [*warnings(noticed, voted), *of_gate]


def _stage(video: Video) -> str:
    return f"vote/{video.name}"


def _inputs(recipe: Recipe, video: Video, run: RunFolder) -> dict[str, Any]:
    members = {
        expert.name: file_states(
            run.store.path(expert.name, video.name, expression.id)
            for expression in video.expressions
        )
        for expert in recipe.entries
    }
    weights = {expert.name: expert.weight for expert in recipe.experts}
    rules = {"rule": recipe.rule, "missing": recipe.missing, "png": recipe.png}
    gate = {"gate": asdict(recipe.gate)} if recipe.gate else {}
    return {
        **rules,
        **gate,
        "weights": weights,
        "members": members,
        "frames": video.frame_names,
        "code": code_digest(__name__),
    }


def _is_drawn(video: Video, run: RunFolder) -> bool:
    """Tell whether the folder of a video holds exactly the PNGs that the last vote wrote.

    The record can reach the disk before the PNGs do: after a power cut they may be empty.
    """
    wanted = run.stages.read(_stage(video)).get("pngs")
    return bool(wanted) and wanted == checksums(run.annotations / video.name, video)


def _ballot(recipe: Recipe, video: Video, run: RunFolder) -> _Ballot:
    return _Ballot(
        video=video,
        store=run.store.folder,
        voting=recipe.voting,
        folder=run.annotations / video.name,
        png=recipe.png,
        gate=recipe.gate,
        judges=tuple(judge.name for judge in recipe.judges),
    )


def _cast(ballot: _Ballot) -> tuple[Decisions, dict[str, Any], Checksums]:
    """Vote on one video's sentences and write their PNGs; runs in a process of its own.

    Returns what the gate decided, with its reasons, what was noticed of every expert, and the
    checksum of every PNG.
    """
    video, decisions = ballot.video, {}
    noticed, voted = dict.fromkeys(ballot.voting.members, Noticed()), Noticed()
    # What an earlier run or a killed writer left; the folder is ours alone.
    remove_others(ballot.folder, {expression.id for expression in video.expressions})
    for expression, answers, result, decision in _results(ballot):
        where = f"{video.name}/{expression.id}"
        for name, answer in answers.items():
            noticed[name] += Noticed.of(answer, where)
        voted += Noticed.of(Prediction(expression.sentence, result), where)
        folder = ballot.folder / expression.id
        remove(folder)  # a file system writes a new file sooner than it replaces one
        write_track(folder, video.frame_names, result, ballot.png)
        if decision is not None:
            decisions[expression.id] = asdict(decision)
    experts = {name: found.to_json() for name, found in noticed.items()}
    noted = {"experts": experts, "vote": voted.to_json()}
    return decisions, noted, checksums(ballot.folder, video)


def _results(
    ballot: _Ballot,
) -> Iterator[tuple[Expression, Answers, Track, Decision | None]]:
    """Each sentence, the experts' answers, the vote on it, behind the gate, and what that said."""
    store, video = PredictionStore(ballot.store), ballot.video
    for expression in video.expressions:
        answers = ballot.voting.read(store, video, expression)
        result, decision = ballot.voting.vote(answers), None
        if ballot.gate is not None:
            odds = read_odds(store, video, expression, ballot.judges)
            decision = ballot.gate.decide(evidence_of(ballot.voting, answers, result, odds))
            if decision.emptied:
                result = Track.empty(video.size, len(video.frame_names))
        yield expression, answers, result, decision


def evidence_of(
    voting: Voting, answers: Answers, result: Track, odds: Mapping[str, float]
) -> dict[str, float]:
    """Return what speaks for and against a target of the sentence that was voted on."""
    tracks = [answer.track for answer in answers.values()]
    details = [answer.details for answer in answers.values()]
    return gather(tracks, details, voting.weights_of(answers), result, odds)


def read_odds(
    store: PredictionStore, video: Video, expression: Expression, judges: Sequence[str]
) -> dict[str, float]:
    """Return what the judge said of a sentence, as far as it was asked."""
    said: dict[str, float] = {}
    for judge in judges:
        if store.path(judge, video.name, expression.id).exists():
            said |= store.read(judge, video, expression).details["odds"]
    return said


def _pixels(video: Video) -> int:
    return video.num_masks * video.size[0] * video.size[1]
