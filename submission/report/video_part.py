"""One video's part of the report: its frames on a sheet, its masks as text, and what they say.

Runs in a process of its own and knows the store, the truth and the vote; the page learns of a video
only through the summary that comes back, and in the browser through the two files written here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from submission.dataset.frame_files import open_frame_files
from submission.dataset.ground_truth import GroundTruth
from submission.dataset.records import Expression, Video
from submission.dataset.rle import Integers
from submission.files.whole import write_bytes
from submission.masks.agreement import (
    close_pixels,
    covered,
    iou_per_frame,
    pairwise_iou,
)
from submission.masks.ballot import Voting
from submission.masks.label_runs import LabelRuns, overlay
from submission.masks.store import Prediction, PredictionStore
from submission.masks.track import Track
from submission.masks.voting import decision_table
from submission.report.frame_sheet import draw_sheet
from submission.report.mask_text import write_masks

Json = dict[str, Any]


def vote_layer(voting: Voting) -> int:
    """The layer of the vote, behind those of the members; the truth is the next one."""
    return len(voting.members)


def truth_layer(voting: Voting) -> int:
    """The layer of the truth."""
    return len(voting.members) + 1


@dataclass(frozen=True)
class VideoPart:
    """All that a process needs to write one video's files."""

    video: Video
    number: int
    split_folder: Path
    store: Path
    voting: Voting
    folder: Path  # where the files go
    frame_bytes: float  # allowance for one frame
    mask_characters: float  # allowance for one frame of one sentence, all layers together
    gate: Mapping[str, Json] = field(default_factory=dict)  # what it decided, by expression

    @property
    def files(self) -> tuple[Path, Path]:
        """The masks, a script that hands them to the page, and the sheet of frames."""
        stem = f"video-{self.number:04}"
        return self.folder / f"{stem}.js", self.folder / f"{stem}.webp"


def write_frames(part: VideoPart) -> Json:
    """Write the sheet of frames; return its tiles as the page needs them, and broken frames."""
    frames = len(part.video.frame_names)
    files = open_frame_files(part.split_folder)
    sheet = draw_sheet(files, part.video, part.frame_bytes * frames)
    write_bytes(part.files[1], sheet.content, durable=False)
    return {"tile": sheet.tile, "columns": sheet.columns, "broken": sheet.broken}


def write_video(part: VideoPart, truth: GroundTruth | None) -> list[Json]:
    """Write the masks, answers and curves of all sentences; return a summary of each."""
    store, video = PredictionStore(part.store), part.video
    known_truths: dict[tuple[int, ...], Integers] = {}
    shown, summaries = [], []
    for expression in video.expressions:
        found = part.voting.read(store, video, expression)
        answers = [found.get(member) for member in part.voting.members]
        true_edges = None if truth is None else _true_edges(truth, video, expression, known_truths)
        decision = part.gate.get(expression.id)
        emptied = decision is not None and decision["emptied"]
        runs, present = _lay_out(part.voting, video, answers, true_edges, emptied)
        facts, summary = _compare(part.voting, runs, present, true_edges is not None)
        masks = write_masks(runs, part.mask_characters * len(video.frame_names))
        shown.append(
            {
                "grid": masks.grid,
                "palette": masks.palette,
                "masks": masks.text,
                "answers": [_answer(answer) for answer in answers],
                **facts,
            }
        )
        named = {"id": expression.id, "sentence": expression.sentence, "gate": decision}
        summaries.append({**named, **summary})
    value = {"frames": video.frame_names, "sentences": shown}
    script = f"report.take({part.number}, {script_json(value)});\n"
    write_bytes(part.files[0], script.encode(), durable=False)
    return summaries


def script_json(value: Any) -> str:
    """Return JSON that is safe inside a script, in a file or in a page: no end tag, no new line."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _true_edges(
    truth: GroundTruth,
    video: Video,
    expression: Expression,
    known: dict[tuple[int, ...], Integers],
) -> Integers:
    """Return the edges of the union of the sentence's objects; many sentences share theirs."""
    objects = expression.annotation_ids or ()
    if objects not in known:
        tracks = [Track(video.size, counts) for counts in truth.objects(video, expression)]
        known[objects] = Track.union(tracks, video.size, len(video.frame_names)).edges
    return known[objects]


def _lay_out(
    voting: Voting,
    video: Video,
    answers: Sequence[Prediction | None],
    true_edges: Integers | None,
    emptied: bool = False,
) -> tuple[LabelRuns, list[int]]:
    """Return the runs of all layers, the vote included, and the members that answered.

    The vote is cast again, by the same function as for the PNGs.
    """
    nothing = np.empty(0, np.int64)
    present = [member for member, answer in enumerate(answers) if answer]
    cast = {name: one for name, one in zip(voting.members, answers, strict=True) if one}
    layers = [answer.track.edges if answer else nothing for answer in answers]
    layers.append(nothing if emptied else voting.vote(cast).edges)
    layers.append(nothing if true_edges is None else true_edges)
    return overlay(layers, video.size, len(video.frame_names)), present


def _table(voting: Voting, present: Sequence[int]) -> Any:
    weights = [voting.weights[member] for member in present]
    return decision_table(len(present), voting.rule, weights)


def _compare(
    voting: Voting, runs: LabelRuns, present: list[int], has_truth: bool
) -> tuple[Json, Json]:
    """Return curves over the frames, for the sentence's picture, and numbers for the tables."""
    labels, areas = runs.areas()
    pairs = pairwise_iou(labels, areas, present)
    layers = [*present, vote_layer(voting), *([truth_layer(voting)] if has_truth else [])]
    curves: Json = {}
    if len(pairs):
        curves["agreement"] = _rounded(pairs.mean(axis=0))
    if has_truth:
        vote, true = (covered(labels, x) for x in (vote_layer(voting), truth_layer(voting)))
        curves["vote"] = _rounded(iou_per_frame(areas, vote, true))
    close, marked = close_pixels(labels, areas, present, _table(voting, present))
    summary = {
        "present": present,
        "pairs": [round(float(pair.mean()), 6) for pair in pairs],
        "close": close,
        "marked": marked,
        "empty": [layer for layer in layers if not areas[:, covered(labels, layer)].any()],
    }
    return {"curves": curves}, summary


def _answer(answer: Prediction | None) -> Json | None:
    if answer is None:
        return None
    details = answer.details
    return {
        "text": details.get("text", ""),
        "keys": details.get("key_frames", []),
        "segs": details.get("num_seg", 0),
    }


def _rounded(values: Any) -> list[float]:
    return [round(value, 3) for value in values.tolist()]
