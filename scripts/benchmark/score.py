"""Sentences scored per second: ours against the straightforward way, on the same made-up split.

    make bench                        a sample of the load, about a minute
    make bench ARGS="--videos 50"     all of it: 50 videos, 800 sentences, 63,200 masks

The split has the size of valid_u: 79 frames and 16 sentences a video, half of the videos 1280 x
720 and half 1920 x 1080 (a choice: the true sizes vary). The straightforward way does for each
sentence what the public script does: decode the true masks of every object, read each PNG, find
both boundaries on the whole frame and dilate them with a disk. It dilates with OpenCV where that
is installed, as the public script does, and with SciPy elsewhere, which is much slower.
"""

import argparse
import io
import json
import math
import os
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco
from scipy.ndimage import binary_dilation

from submission.dataset.ground_truth import read_ground_truth
from submission.dataset.records import Expression, Split, Video
from submission.dataset.rle import encode
from submission.output.png_files import encode_png
from submission.pipeline.score import score_results
from submission.run.record import cpu_name
from submission.score.answers import PngSource
from submission.score.score_file import write_scores
from submission.score.scoring import score_video
from submission.terminal.progress import Reporter

try:
    import cv2
except ImportError:
    cv2 = None

FRAMES, SENTENCES, OBJECTS = 79, 16, 6  # of a video
SIZES = ((720, 1280), (1080, 1920))
VALID_U = 793  # sentences
FAR, EMPTY = 0.10, 0.05  # shares of sentences answered by another object, and by nothing
DIRECTIONS = np.linspace(0, 2 * np.pi, 240, endpoint=False)
WAVES = np.arange(2, 14)


Encoder = Callable[[np.ndarray], bytes]


# --- the load ------------------------------------------------------------------------------------
class Blob:
    """An object with a wavy outline that moves and changes its form a little."""

    def __init__(self, size: tuple[int, int], random: np.random.Generator) -> None:
        self.size = size
        share = math.exp(random.uniform(math.log(0.005), math.log(0.10)))  # of the frame
        self.radius = math.sqrt(share * size[0] * size[1] / math.pi)
        self.start = random.uniform(0.2, 0.8, 2) * size
        self.step = random.normal(0, 0.004, 2) * size
        self.waves = random.normal(0, 0.25, (2, len(WAVES))) / WAVES
        self.turn = random.normal(0, 0.05, len(WAVES))

    def draw(self, frame: int, wrong: float = 0.0) -> np.ndarray:
        """The mask at a frame, bool (H, W); `wrong` moves and bends it, as a prediction is."""
        phase = WAVES * DIRECTIONS[:, None] + self.turn * frame + 3 * wrong
        bends = np.sin(phase) @ self.waves[0] + np.cos(phase) @ self.waves[1]
        radii = self.radius * (1 + bends) * (1 + wrong)
        y, x = self.start + self.step * frame + wrong * self.radius
        points = np.stack((x + radii * np.cos(DIRECTIONS), y + radii * np.sin(DIRECTIONS)), axis=1)
        image = Image.new("1", self.size[::-1])
        ImageDraw.Draw(image).polygon([tuple(point) for point in points], fill=1)
        return np.array(image)


def write_load(folder: Path, num_videos: int, encode_mask: Encoder) -> Split:
    """Write mask_dict.json and the PNGs of all answers; return the split."""
    random = np.random.default_rng(0)
    annotations: dict[str, list[dict[str, object]]] = {}
    videos = []
    for number in range(num_videos):
        size = SIZES[number % len(SIZES)]
        blobs = [Blob(size, random) for _ in range(OBJECTS)]
        ids = range(number * OBJECTS, (number + 1) * OBJECTS)
        for key, blob in zip(ids, blobs, strict=True):
            masks = (blob.draw(frame) for frame in range(FRAMES))
            annotations[str(key)] = [
                {"size": list(size), "counts": encode(mask).decode()} for mask in masks
            ]
        video = make_video(f"video{number:02}", size, ids, random)
        videos.append(video)
        for expression in video.expressions:
            own = [blobs[key - ids[0]] for key in expression.annotation_ids or ()]
            answer = folder / "masks" / video.name / expression.id
            write_answer(answer, own, blobs, random, encode_mask)
    (folder / "mask_dict.json").write_text(json.dumps(annotations))
    return Split(folder.parent, folder.name, folder / "meta_expressions.json", tuple(videos))


def make_video(name: str, size: tuple[int, int], ids: range, random: np.random.Generator) -> Video:
    """A video whose sentences mean one object each, and every fourth two or three."""
    expressions = []
    for number in range(SENTENCES):
        several = 1 if number % 4 else int(random.integers(2, 4))
        chosen = tuple(sorted(int(key) for key in random.choice(list(ids), several, replace=False)))
        expressions.append(Expression(name, str(number), "made up", chosen, chosen))
    frames = tuple(f"{frame:05}" for frame in range(FRAMES))
    return Video(name, frames, size, tuple(expressions))


def write_answer(
    folder: Path, own: list[Blob], blobs: list[Blob], random: np.random.Generator,
    encode_mask: Encoder,
) -> None:  # fmt: skip
    """Write a prediction: nearly right, another object, or nothing."""
    folder.mkdir(parents=True)
    luck, wrong = random.random(), random.uniform(-0.06, 0.06)
    drawn = [blobs[random.integers(OBJECTS)]] if luck < FAR else own
    for frame in range(FRAMES):
        mask = np.zeros(own[0].size, bool)
        for blob in drawn if luck < 1 - EMPTY else []:
            mask |= blob.draw(frame, wrong)
        (folder / f"{frame:05}.png").write_bytes(encode_mask(mask))


def encode_with_pillow(mask: np.ndarray) -> bytes:
    """A PNG with 8 bits a pixel and filtered rows, as most tools write masks."""
    file = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(file, "PNG")
    return file.getvalue()


# --- the straightforward way ---------------------------------------------------------------------
def straightforward(split: Split, video: Video, expression: Expression, masks: dict) -> list[float]:
    """J and F of a sentence, frame by frame on whole frames."""
    folder = split.folder / "masks" / video.name / expression.id
    height, width = video.size
    truth = np.zeros((FRAMES, height, width), np.uint8)
    pred = np.zeros((FRAMES, height, width), np.uint8)
    for index, name in enumerate(video.frame_names):
        for key in expression.annotation_ids or ():
            truth[index] += coco.decode(masks[str(key)][index])
        pred[index] = read_grey(folder / f"{name}.png")
    j = [whole_frame_j(a > 0, b > 0) for a, b in zip(pred, truth, strict=True)]
    f = [whole_frame_f(a > 0, b > 0) for a, b in zip(pred, truth, strict=True)]
    return [float(np.mean(j)), float(np.mean(f))]


def read_grey(path: Path) -> np.ndarray:
    """A PNG as uint8 (H, W)."""
    if cv2 is not None:
        return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    return np.asarray(Image.open(path).convert("L"))


def whole_frame_j(pred: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union."""
    union = np.count_nonzero(pred | truth)
    return np.count_nonzero(pred & truth) / union if union else 1.0


def whole_frame_f(pred: np.ndarray, truth: np.ndarray) -> float:
    """The boundary F of DAVIS: both boundaries dilated by a disk over the whole frame."""
    radius = math.ceil(0.008 * math.hypot(*pred.shape))
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disk = y**2 + x**2 <= radius**2
    edges = [whole_frame_boundary(pred), whole_frame_boundary(truth)]
    counts = [np.count_nonzero(edge) for edge in edges]
    wide = [dilate(edge, disk) for edge in edges]
    if min(counts) == 0:
        return float(max(counts) == 0)
    precision = np.count_nonzero(edges[0] & wide[1]) / counts[0]
    recall = np.count_nonzero(edges[1] & wide[0]) / counts[1]
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def whole_frame_boundary(mask: np.ndarray) -> np.ndarray:
    """Pixels that differ from the right, lower or lower right neighbour."""
    right, below, across = (np.zeros_like(mask) for _ in range(3))
    right[:, :-1], below[:-1], across[:-1, :-1] = mask[:, 1:], mask[1:], mask[1:, 1:]
    edge = (mask ^ right) | (mask ^ below) | (mask ^ across)
    edge[-1] = mask[-1] ^ right[-1]
    edge[:, -1] = mask[:, -1] ^ below[:, -1]
    edge[-1, -1] = False
    return edge


def dilate(edge: np.ndarray, disk: np.ndarray) -> np.ndarray:
    """The boundary grown by the disk."""
    if cv2 is not None:
        return cv2.dilate(edge.astype(np.uint8), disk.astype(np.uint8)) > 0
    return binary_dilation(edge, disk)


# --- the comparison ------------------------------------------------------------------------------
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--videos", type=int, default=4, help="of 79 frames and 16 sentences each")
    parser.add_argument("--seconds", type=float, default=15.0,
                        help="for the straightforward way, of each frame size")  # fmt: skip
    parser.add_argument("--pillow", action="store_true",
                        help="masks as most tools write them, with 8 bits a pixel")  # fmt: skip
    arguments = parser.parse_args()
    encode_mask = encode_with_pillow if arguments.pillow else encode_png
    if cv2 is not None:
        cv2.setNumThreads(1)
    print("\n".join(describe_machine()))
    with tempfile.TemporaryDirectory() as scratch:
        split = write_load(Path(scratch) / "load", max(arguments.videos, len(SIZES)), encode_mask)
        compare(split, arguments.seconds)


def describe_machine() -> list[str]:
    """What the numbers were taken on."""
    cores = len(os.sched_getaffinity(0))
    packages = ("numpy", "scipy", "pillow", "pycocotools")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    way = f"OpenCV {cv2.__version__}, one thread" if cv2 else "SciPy (OpenCV is not installed)"
    return [
        f"{cpu_name()}, {cores} cores; Python {platform.python_version()}, {versions}",
        f"the straightforward way dilates with {way}",
    ]


def compare(split: Split, seconds: float) -> None:
    """Print both ways for each frame size on one core, and ours on all cores."""
    truth, masks = (
        read_ground_truth(split),
        json.loads((split.folder / "mask_dict.json").read_text()),
    )
    source = PngSource("load", split.folder / "masks")
    print(f"{'one core':<12} {'straightforward':>22} {'ours':>22} {'ratio':>7}")
    per_sentence = []
    for size in SIZES:
        videos = [video for video in split.videos if video.size == size]
        slow, expected = time_straightforward(split, videos, masks, seconds)
        began = time.process_time()
        scores = [one for video in videos for one in score_video(video, truth, [source])["load"]]
        fast = (time.process_time() - began) / len(scores)
        check_equal(expected, {(one.video, one.expression): (one.j, one.f) for one in scores})
        per_sentence.append((slow, fast))
        print(line(f"{size[1]} x {size[0]}", slow, fast))
    slow, fast = (float(np.mean(times)) for times in zip(*per_sentence, strict=True))
    print(line("half of each", slow, fast))
    print(f"{VALID_U} sentences on one core, from these: straightforward {VALID_U * slow:.0f} s, "
          f"ours {VALID_U * fast:.0f} s")  # fmt: skip
    print_whole(split, source)


def time_straightforward(
    split: Split, videos: list[Video], masks: dict, seconds: float
) -> tuple[float, dict[tuple[str, str], list[float]]]:
    """Seconds per sentence over as many sentences as fit into `seconds`, and their J and F."""
    scores: dict[tuple[str, str], list[float]] = {}
    began = time.process_time()
    for expression in (one for number in range(SENTENCES) for video in videos
                       for one in (video.expressions[number],)):  # fmt: skip
        video = next(video for video in videos if video.name == expression.video)
        scores[video.name, expression.id] = straightforward(split, video, expression, masks)
        if time.process_time() - began > seconds:
            break
    return (time.process_time() - began) / len(scores), scores


def check_equal(
    expected: dict[tuple[str, str], list[float]], scores: dict[tuple[str, str], tuple[float, float]]
) -> None:
    """Stop when the two ways do not give the same numbers: a race of different things."""
    for key, values in expected.items():
        if not np.allclose(values, scores[key], rtol=0, atol=1e-12):
            raise SystemExit(f"{key}: straightforward {values}, ours {scores[key]}")


def print_whole(split: Split, source: PngSource) -> None:
    """Time the command as it is: ground truth read, all cores, score.json written."""
    began = time.perf_counter()
    with Reporter("quiet") as reporter:
        write_scores(split.folder / "score.json", split, score_results([source], split, reporter))
    took = time.perf_counter() - began
    print(f"the whole command on all cores: {split.num_sentences} sentences, {split.num_masks} "
          f"masks in {took:.1f} s: {split.num_sentences / took:.1f} sentences/s")  # fmt: skip


def line(name: str, slow: float, fast: float) -> str:
    """A row of the table."""
    return (f"{name:<12} {1 / slow:>13.3f} sent./s {1 / fast:>13.2f} sent./s "
            f"{slow / fast:>6.1f}x")  # fmt: skip


if __name__ == "__main__":
    main()
