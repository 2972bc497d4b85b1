"""Write the report of a run: each video's files in several processes, then the page.

A video whose predictions, truth and vote are those of the last time is not done again.
"""

import hashlib
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from submission.code_digest import code_digest
from submission.dataset.frame_files import find_frame, open_frame_files
from submission.dataset.ground_truth import read_ground_truth
from submission.dataset.records import Split
from submission.errors import InputError
from submission.files.removal import remove_others
from submission.files.strict_json import read_json
from submission.files.whole import write_bytes
from submission.masks.ballot import Voting
from submission.pool import open_pool, work_through
from submission.report.page import TEMPLATES, render
from submission.report.video_part import Json, VideoPart, write_frames, write_video
from submission.run.folder import RunFolder
from submission.run.record import NAME as RECORD
from submission.run.stages import contents, file_states
from submission.score.score_file import Result
from submission.terminal.progress import Reporter

REPORT_UNITS = 0.02  # cost of a mask; predicting one is 1
POOL_FROM = 20_000  # masks from which starting processes pays

RECORD_PARTS = ("recipe", "data", "experts", "code", "hardware", "seconds")
SHOWN_PARTS = ("recipe", "data", "experts", "code", "uploads", "warnings")  # no time of one call

# Of a frame, and of one frame of a sentence's masks: at least, all together, at most. On valid_u
# (3,950 frames, 62,647 masks) the middle one decides, and the report stays below 30 MB.
FRAME_BYTES = (3_000, 15_500_000, 30_000)
MASK_CHARACTERS = (150, 11_500_000, 2_000)


def write_report(
    split: Split, run: RunFolder, voting: Voting, reporter: Reporter,
    results: Mapping[str, Result] | None = None, notes: tuple[str, ...] = (),
    gate: Mapping[str, Mapping[str, Json]] | None = None,
) -> Path:  # fmt: skip
    """Write the run's report and return the path of its page.

    `results` are the scores of what the page shows, by name, and `notes` what a reader has to know
    of them; `gate` holds what a gate decided, by video and expression. Every sentence must have an
    answer of a member, and of each of them unless the vote skips those that have none. Raises
    InputError for a prediction that is missing or damaged, and for a run without its record.
    """
    parts = _make_parts(split, run, voting, gate or {})
    inputs = [_inputs(part, split, run) for part in parts]
    todo = [
        (part, needed)
        for part, needed in zip(parts, inputs, strict=True)
        if not _is_current(part, needed, run)
    ]
    record = _read_record(run)
    _copy_records(run, with_score=bool(results))
    page_inputs = {
        "record": [record.get(part) for part in SHOWN_PARTS],
        "videos": inputs,
        "score": {name: asdict(result) for name, result in (results or {}).items()},
        "notes": notes,
        "code": [code_digest(__name__), _template_digest()],
    }
    if not todo and run.stages.is_current("report/page", page_inputs, [run.report]):
        return run.report
    reporter.stage("report")
    _write_parts(todo, split, run, reporter)
    videos = [run.stages.read(_stage(part)) | {"files": _addresses(part, run)} for part in parts]
    write_bytes(run.report, render(split, voting, videos, results or {}, record, notes).encode())
    wanted = {file.name for part in parts for file in part.files}
    remove_others(parts[0].folder, wanted)  # of an earlier report with more videos
    run.stages.record("report/page", page_inputs, made=contents([run.report]))
    return run.report


def _is_current(part: VideoPart, inputs: dict[str, Any], run: RunFolder) -> bool:
    """Tell whether a video's files are those of these inputs, with every frame readable."""
    if not run.stages.is_current(_stage(part), inputs, part.files):
        return False
    broken = run.stages.read(_stage(part))["frames"]["broken"]
    return not broken


def _make_parts(
    split: Split, run: RunFolder, voting: Voting, gate: Mapping[str, Mapping[str, Json]]
) -> list[VideoPart]:
    return [
        VideoPart(
            video=video,
            number=number,
            split_folder=split.folder,
            store=run.store.folder,
            voting=voting,
            folder=run.report.parent / "videos",
            frame_bytes=_allowance(FRAME_BYTES, split.num_frames),
            mask_characters=_allowance(MASK_CHARACTERS, split.num_masks),
            gate=gate.get(video.name, {}),
        )
        for number, video in enumerate(split.videos)
    ]


def _write_parts(
    todo: list[tuple[VideoPart, Any]], split: Split, run: RunFolder, reporter: Reporter
) -> None:
    if not todo:
        return
    masks = sum(part.video.num_masks for part, _ in todo)
    made: dict[int, dict[str, Any]] = {}
    inputs = {part.number: needed for part, needed in todo}
    with open_pool(pays=masks >= POOL_FROM) as pool:
        calls = _calls([part for part, _ in todo], split)
        for (part, kind), result in work_through(pool, calls):
            made.setdefault(part.number, {})[kind] = result
            if len(made[part.number]) == 2:
                whole = made.pop(part.number)
                run.stages.record(
                    _stage(part), inputs[part.number], made=contents(part.files), **whole
                )
                for broken in whole["frames"]["broken"]:
                    reporter.warn(f"shown in grey: {broken}")
            reporter.advance(part.video.num_masks * REPORT_UNITS / 2, f"video {part.video.name}")


def _calls(parts: list[VideoPart], split: Split) -> Iterator[Any]:
    """Give the work on every video: its frames, and its masks with their truth."""
    asked = replace(split, videos=tuple(part.video for part in parts))
    truth = read_ground_truth(asked) if split.mask_file else None
    for part in parts:
        yield (part, "frames"), write_frames, (part,)
        own = truth.part(part.video) if truth else None
        yield (part, "sentences"), write_video, (part, own)


def _inputs(part: VideoPart, split: Split, run: RunFolder) -> dict[str, Any]:
    """All that decides a video's files; no paths, so that a run may be moved."""
    store, video = run.store, part.video
    places = open_frame_files(split.folder).places(video.name) or {}
    frames = [find_frame(places, frame) for frame in video.frame_names]
    return {
        "video": asdict(video),
        "frames": file_states(dict.fromkeys(place.path for place in frames if place)),
        "number": part.number,
        "voting": asdict(part.voting),
        "gate": dict(part.gate),
        "allowances": [part.frame_bytes, part.mask_characters],
        "predictions": [
            file_states(store.path(member, video.name, one.id) for one in video.expressions)
            for member in part.voting.members
        ],
        "truth": file_states([split.mask_file]) if split.mask_file else None,
        "code": code_digest(__name__),
    }


def _stage(part: VideoPart) -> str:
    return f"report/videos/{part.video.name}"


def _addresses(part: VideoPart, run: RunFolder) -> list[str]:
    return [path.relative_to(run.report.parent).as_posix() for path in part.files]


def _allowance(limits: tuple[int, int, int], count: int) -> float:
    least, budget, most = limits
    return min(most, max(least, budget / count))


def _read_record(run: RunFolder) -> Json:
    path = run.path / RECORD
    record = read_json(path) if path.exists() else None
    if not isinstance(record, dict) or not all(part in record for part in RECORD_PARTS):
        raise InputError(
            f"{path}: no complete record of a run; make it with: "
            f"mevis-submission submit --run {shlex.quote(str(run.path))}"
        )
    return record


def _copy_records(run: RunFolder, with_score: bool) -> None:
    """Put what the page links beside it, so that its folder can be copied alone."""
    for path, wanted in ((run.path / RECORD, True), (run.score, with_score)):
        copy = run.report.with_name(path.name)
        content = path.read_bytes() if wanted else None
        if content is None:
            copy.unlink(missing_ok=True)
        elif not copy.is_file() or copy.read_bytes() != content:
            write_bytes(copy, content)


def _template_digest() -> str:
    digest = hashlib.sha256()
    for file in sorted(TEMPLATES.iterdir()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
