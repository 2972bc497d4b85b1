"""Draw the frames whose masks changed: what both have, what only one of them has."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from scripts.regress.difference import MaskChange, mask_of, video_of
from scripts.regress.golden import Record
from submission.dataset.frames import FrameSource
from submission.dataset.records import Split

BOTH, ONLY_GOLDEN, ONLY_NOW = (255, 255, 255), (255, 60, 40), (40, 140, 255)
SCALE = 4  # the sample's frames are small
CAPTION = 18  # pixels
MOST = 24  # pictures


def draw_changes(
    folder: Path,
    changes: list[MaskChange],
    records: tuple[Record, Record],
    split: Split,
    frames: FrameSource,
) -> list[Path]:
    """Write a PNG for each of the largest changes; return their paths."""
    videos = {video.name: video for video in split.videos}
    paths = []
    for change in changes[:MOST]:
        video = videos[video_of(change.sentence)]
        frame = frames.read(video, [change.frame])[0]
        masks = [mask_of(record, change.sentence, change.frame) for record in records]
        name = f"{change.sentence.replace(' ', '-').replace('/', '-')}"
        path = folder / f"{name}-{video.frame_names[change.frame]}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(frame, masks[0], masks[1], change.pixels).save(path)
        paths.append(path)
    return paths


def draw(frame: np.ndarray, golden: np.ndarray, now: np.ndarray, pixels: int) -> Image.Image:
    """Return uint8 (H, W, 3) with both masks over it, bool (H, W), enlarged and captioned."""
    picture = frame // 2
    parts = ((golden & now, BOTH, 0.35), (golden & ~now, ONLY_GOLDEN, 1.0))
    for chosen, colour, weight in (*parts, (now & ~golden, ONLY_NOW, 1.0)):
        picture[chosen] = (1 - weight) * picture[chosen] + weight * np.array(colour)
    height, width = golden.shape
    large = Image.fromarray(picture).resize(
        (SCALE * width, SCALE * height), Image.Resampling.NEAREST
    )
    page = Image.new("RGB", (large.width, large.height + CAPTION))
    page.paste(large, (0, CAPTION))
    words = ImageDraw.Draw(page)
    place = 4
    for text, colour in (
        (f"differing pixels: {pixels}", BOTH), ("only golden", ONLY_GOLDEN), ("only now", ONLY_NOW)
    ):  # fmt: skip
        words.text((place, 3), text, fill=colour)
        place += int(words.textlength(text)) + 16
    return page
