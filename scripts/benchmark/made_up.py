"""A made-up run as large as one on MeViS: objects that drift, and experts that are nearly right."""

import json
import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from submission.dataset.records import MASK_FILE, Expression, Split, Video
from submission.files.whole import write_bytes
from submission.masks.store import Prediction, PredictionStore
from submission.masks.track import Track
from submission.pool import open_pool
from submission.video.sampling import key_frames

FRAMES, OBJECTS = 79, 4  # of a video; its sentences mean the objects in turn
WOBBLE = 0.04  # of a blob's radius: how far the outline of an expert is off
ANGLES = np.linspace(0, 2 * np.pi, 96, endpoint=False)

Size = tuple[int, int]  # height, width in pixels
Experts = Mapping[str, int]  # how many key frames each looks at


@dataclass(frozen=True)
class Blob:
    """An object: the middle (x, y) in the first frame, its way, its radius at each angle."""

    middle: NDArray[np.float64]
    way: NDArray[np.float64]
    radii: NDArray[np.float64]

    def track(self, size: Size, wobble: float, seed: int) -> Track:
        """Draw the blob in every frame; `wobble` moves its outline in and out."""
        phases = np.random.default_rng(seed).uniform(0, 7, 9)
        return Track.encode(self._draw(size, wobble, phases, index) for index in range(FRAMES))

    def _draw(
        self, size: Size, wobble: float, phases: NDArray[np.float64], index: int
    ) -> NDArray[np.bool_]:
        waves = [np.sin((k + 4) * ANGLES + p + 0.4 * index) for k, p in enumerate(phases)]
        radii = self.radii * (1 + wobble * np.sum(waves, axis=0) / np.sqrt(len(waves) / 2))
        x, y = self.middle + self.way * index / FRAMES
        outline = np.stack([x + radii * np.cos(ANGLES), y + radii * np.sin(ANGLES)], axis=1)
        picture = Image.new("1", (size[1], size[0]))
        ImageDraw.Draw(picture).polygon([tuple(point) for point in outline.tolist()], fill=1)
        return np.asarray(picture)


def make_blob(size: Size, seed: int) -> Blob:
    """Return a blob of about a twentieth of the frame, lobed like an animal or a person."""
    draw = np.random.default_rng(seed)
    lobes = [
        draw.normal(0, 0.22 / k) * np.cos(k * ANGLES + draw.uniform(0, 7)) for k in range(1, 7)
    ]
    side = np.array([size[1], size[0]])
    return Blob(
        middle=draw.uniform(0.2, 0.8, 2) * side,
        way=draw.normal(0, 0.15, 2) * side,
        radii=draw.uniform(0.08, 0.25) * size[0] * np.clip(1 + np.sum(lobes, axis=0), 0.3, 2),
    )


def make_video(number: int, sentences: int, size: Size, annotation: Callable[[int], int]) -> Video:
    """Return a video with made-up sentences; `annotation` gives the id of what each means."""
    name = f"video{number:03}"
    words = "the blob that drifts away from the others, described for the"
    asked = tuple(
        Expression(name, str(e), f"{words} {e}th time", (e % OBJECTS,), (annotation(e),))
        for e in range(sentences)
    )
    return Video(name, tuple(f"{index:05}" for index in range(FRAMES)), size, asked)


def make_run(split: Split, experts: Experts) -> None:
    """Write predictions and ground truth; the last file written marks them as whole."""
    count = len(split.videos)
    with open_pool(pays=True) as pool:
        stores, all_experts = [split.root / "run/predictions"] * count, [experts] * count
        parts = list(pool.map(_answer, stores, split.videos, range(count), all_experts))
    truth = {key: masks for part in parts for key, masks in part.items()}
    write_bytes(split.folder / MASK_FILE, json.dumps(truth).encode())


def _answer(folder: Path, video: Video, number: int, experts: Experts) -> dict[str, object]:
    """Write the predictions of one video; return its true masks by annotation id."""
    store, truth = PredictionStore(folder), {}
    for place in range(OBJECTS):
        seed = number * OBJECTS + place
        blob, asked = make_blob(video.size, seed), video.expressions[place::OBJECTS]
        true_masks = blob.track(video.size, 0, 0).to_json()
        truth |= {str(key): true_masks for one in asked for key in one.annotation_ids or ()}
        for member, (expert, shown) in enumerate(experts.items()):
            track = blob.track(video.size, WOBBLE, seed * len(experts) + member)
            keys = list(key_frames(FRAMES, shown, "uniform"))
            details = {"text": "It is [SEG].", "key_frames": keys, "num_seg": 1}
            for one in asked:
                store.write(expert, video.name, one.id, Prediction(one.sentence, track, details))
    return truth


def processor_seconds() -> float:
    """Seconds that this process and its finished children have used."""
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in spent)
