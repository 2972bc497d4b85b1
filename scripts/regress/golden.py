"""What a run of the sample gave, as one record: collected from a run, kept in a folder, read back.

sample.json     platform, answers, scores and the zip's listing, to be read and compared by eye
masks.json.gz   the run lengths of every mask
"""

import gzip
import hashlib
import json
import platform
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from submission.dataset.records import Split
from submission.files.whole import write_bytes, write_json
from submission.masks.store import PredictionStore
from submission.output.mask_files import open_submission
from submission.run.record import cpu_name
from submission.score.score_file import VOTE, read_scores

READABLE, MASKS = "sample.json", "masks.json.gz"
HASH_SHOWN = 16  # hexadecimal digits of a SHA-256: enough to notice a change


@dataclass(frozen=True)
class Record:
    """All that is compared. A sentence is named "RESULT VIDEO/ID", the vote being a result."""

    platform: dict[str, str]  # what may change the last bits of a float, and of a PNG
    frames: dict[str, list[str]]  # by video: the names
    sizes: dict[str, list[int]]  # by video: (height, width)
    answers: dict[str, dict[str, Any]]  # by sentence: text, key_frames and num_seg
    scores: dict[str, list[float]]  # by sentence: J and F
    files: dict[str, str]  # of the zip, in its order: SHA-256 of the content, shortened
    masks: dict[str, list[str]]  # by sentence: COCO run lengths of each frame


def collect(run: Path, split: Split, experts: list[str]) -> Record:
    """Collect the record of a finished run."""
    answers: dict[str, dict[str, Any]] = {}
    masks: dict[str, list[str]] = {}
    store = PredictionStore(run / "predictions")
    with open_submission(run / "submission.zip") as files:
        for video in split.videos:
            for expression in video.expressions:
                key = f"{video.name}/{expression.id}"
                for expert in experts:
                    prediction = store.read(expert, video, expression)
                    answers[f"{expert} {key}"] = {
                        name: prediction.details.get(name)
                        for name in ("text", "key_frames", "num_seg")
                    }
                    masks[f"{expert} {key}"] = _texts(prediction.track.counts)
                masks[f"{VOTE} {key}"] = _texts(files.read_track(video, expression.id).counts)
    results = read_scores(run / "score.json").results
    return Record(
        platform=describe_platform(),
        frames={video.name: list(video.frame_names) for video in split.videos},
        sizes={video.name: list(video.size) for video in split.videos},
        answers=answers,
        scores={
            f"{name} {key}": list(values)
            for name, result in results.items()
            for key, values in result.expressions.items()
        },
        files=_hash_members(run / "submission.zip"),
        masks=masks,
    )


def describe_platform() -> dict[str, str]:
    """Return what decides the last bits: with all of it equal, so is every result."""
    import torch

    return {
        "machine": platform.machine(),
        "cpu": cpu_name(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
    }


def write_golden(folder: Path, record: Record) -> None:
    """Keep a record in a folder."""
    values = dict(vars(record))
    masks = values.pop("masks")
    write_json(folder / READABLE, values)
    text = json.dumps(masks, separators=(",", ":"))
    write_bytes(folder / MASKS, gzip.compress(text.encode(), 9, mtime=0))


def read_golden(folder: Path) -> Record | None:
    """Return the record kept in a folder, None when there is none."""
    if not (folder / READABLE).is_file():
        return None
    values = json.loads((folder / READABLE).read_text(encoding="utf-8"))
    return Record(**values, masks=json.loads(gzip.decompress((folder / MASKS).read_bytes())))


def _texts(counts: tuple[bytes, ...]) -> list[str]:
    return [text.decode() for text in counts]


def _hash_members(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {
            name: hashlib.sha256(archive.read(name)).hexdigest()[:HASH_SHOWN]
            for name in archive.namelist()
        }
