"""score.json and score.csv: what a score leaves behind, for people, spreadsheets and later runs."""

import csv
import io
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from submission.dataset.records import Split
from submission.errors import InputError
from submission.files.strict_json import read_json
from submission.files.whole import write_bytes, write_json
from submission.score.scoring import Score

VOTE = "vote"  # what the result of a run is called, beside its experts

CONVENTIONS = {
    "values": "0 to 1",
    "J": "intersection over union of a frame; 1 where both are empty",
    "F": "boundary F of a frame within ceil(0.008 x diagonal) pixels; "
    "1 where neither mask has a boundary, 0 where exactly one has",
    "mean": "over all frames of a sentence, first and last included; then over sentences",
    "missing": "a missing sentence or frame, or one of another size, counts 0",
    "(targets)": "over the sentences that mean at least one object",
    "N-acc": "share of no-target sentences answered by empty masks in every frame",
    "T-acc": "share of sentences with targets answered by a mask in any frame",
    "Final": "mean of J&F over all sentences, N-acc and T-acc",
}
OFFICIAL = {
    "missing": "as the public script: a sentence that lacks a frame, or has one of another size, "
    "is left out of the mean; the sentences of a video without a folder count 0"
}


@dataclass(frozen=True)
class Result:
    """One scored result: its means by name, and (J, F) of each sentence by "VIDEO/ID"."""

    means: Mapping[str, float]
    expressions: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Flattery:
    """What leaving sentences out does to the J&F of a result."""

    strict: float
    official: float
    left_out: tuple[str, ...]  # as "VIDEO/ID"


@dataclass(frozen=True)
class Scores:
    """The content of a score.json."""

    split: str
    results: Mapping[str, Result]
    missing: tuple[Mapping[str, str], ...]  # with "result", "where" and "what"
    flattery: Mapping[str, Flattery] = field(default_factory=dict)  # with --official only
    sentences: Mapping[str, str] = field(default_factory=dict)  # by "VIDEO/ID"

    @property
    def means(self) -> dict[str, dict[str, float]]:
        """The means of every result by their names, 0..1."""
        return {name: dict(result.means) for name, result in self.results.items()}

    def choose(self, name: str | None = None) -> str:
        """Return the name of the result that is meant: the vote, or the only one, by default.

        Raises InputError, naming those that are there.
        """
        only = next(iter(self.results)) if len(self.results) == 1 else VOTE
        wanted = name or only
        if wanted not in self.results:
            known = ", ".join(self.results)
            what = f'no result "{name}"' if name else "several results, and none is a vote"
            raise InputError(f"{what}; choose one of these with --result: {known}")
        return wanted


def write_scores(
    path: Path, split: Split, results: Mapping[str, Score], *, official: bool = False
) -> Scores:
    """Write `path`, which ends with .json, and the same as .csv beside it; return the content.

    With `official` the means are those of the public script, and "official" in the file compares
    them with the strict ones.
    """
    counted, value = _counted(results, official), _as_value(split, results, official)
    write_bytes(path.with_suffix(".csv"), _as_csv(counted, value["sentences"]).encode())
    write_json(path, value)
    return _parse(value)


def unwritten_scores(
    split: Split, results: Mapping[str, Score], *, official: bool = False
) -> Scores:
    """Return what `write_scores` returns, for a place where nothing can be written."""
    return _parse(_as_value(split, results, official))


def _counted(results: Mapping[str, Score], official: bool) -> dict[str, Score]:
    return {name: one.as_official() if official else one for name, one in results.items()}


def _as_value(split: Split, results: Mapping[str, Score], official: bool) -> dict[str, Any]:
    counted = _counted(results, official)
    value: dict[str, Any] = {
        "split": split.name,
        "conventions": {**CONVENTIONS, **(OFFICIAL if official else {})},
        "results": {name: _as_json(score) for name, score in counted.items()},
        "missing": [
            {"result": name, "where": fault.where, "what": fault.what}
            for name, score in results.items()
            for fault in score.faults()
        ],
    }
    value["sentences"] = {
        f"{video.name}/{expression.id}": expression.sentence
        for video, expression in split.sentences()
    }
    if official:
        value["official"] = {name: _flattery(results[name], counted[name]) for name in results}
    return value


def read_scores(path: Path) -> Scores:
    """Read a score.json; raise InputError when there is none or it is none."""
    if path.suffix == ".zip":
        beside = f"{path.name}.score.json"
        raise InputError(f"{path}: no scores are in a zip; give its run, or {beside} of `score`")
    if not path.is_file():
        run = path.parent if path.suffix else path
        if not run.is_dir():
            raise InputError(f"{run}: no such run; give the folder of a scored run")
        command = shlex.join(["mevis-submission", "score", str(run)])
        raise InputError(f"{path}: no such score; make it with: {command}")
    try:
        return _parse(read_json(path))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"{path}: not a score.json ({error!r}); make it again with: mevis-submission score"
        ) from error


def _parse(value: Any) -> Scores:
    results = {
        name: Result(
            means={key: float(mean) for key, mean in result.items() if _is_number(mean)},
            expressions={
                key: (float(one["J"]), float(one["F"]))
                for key, one in result["expressions"].items()
            },
        )
        for name, result in value["results"].items()
    }
    flattery = {
        name: Flattery(one["J&F strict"], one["J&F official"], tuple(one["left_out"]))
        for name, one in value.get("official", {}).items()
    }
    sentences = value.get("sentences", {})
    return Scores(value["split"], results, tuple(value["missing"]), flattery, sentences)


def _as_json(score: Score) -> dict[str, Any]:
    return {
        **score.means(),
        "videos": score.video_means(),
        "expressions": {
            f"{one.video}/{one.expression}": {"J": one.j, "F": one.f} for one in score.expressions
        },
    }


def _flattery(strict: Score, official: Score) -> dict[str, Any]:
    kept = {(one.video, one.expression) for one in official.expressions}
    before, after = strict.means()["J&F"], official.means()["J&F"]
    left_out = [one for one in strict.expressions if (one.video, one.expression) not in kept]
    return {
        "J&F strict": before,
        "J&F official": after,
        "difference": after - before,
        "left_out": [f"{one.video}/{one.expression}" for one in left_out],
    }


def _as_csv(results: Mapping[str, Score], sentences: Mapping[str, str]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(
        ["result", "video", "expression", "J", "F", "J&F", "has_target", "found_any", "faults",
         "sentence"]
    )  # fmt: skip
    for name, score in results.items():
        for one in score.expressions:
            sentence = sentences[f"{one.video}/{one.expression}"]
            rows.writerow(
                [name, one.video, one.expression, one.j, one.f, (one.j + one.f) / 2,
                 int(one.has_target), int(one.found_any), len(one.faults), sentence]
            )  # fmt: skip
    return text.getvalue()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
