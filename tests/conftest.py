"""A tiny MeViS split and an answer to it, on disk, that tests may read, copy and damage."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_split import HEIGHT, WIDTH, meta, rle, square, write_meta

from submission.dataset.mevis import Split, read_split
from submission.output.png_files import write_track


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Every file that got its name by then, and whether all its bytes were on disk before."""
    known: dict[str, bool] = {}
    on_disk: dict[int, int] = {}
    fsync, replace = os.fsync, os.replace

    def flush(handle: int) -> None:
        fsync(handle)
        on_disk[os.fstat(handle).st_ino] = os.fstat(handle).st_size

    def rename(partial: str, final: str) -> None:
        state = os.stat(partial)
        known[str(final)] = on_disk.pop(state.st_ino, None) == state.st_size
        replace(partial, final)

    monkeypatch.setattr("os.fsync", flush)
    monkeypatch.setattr("os.replace", rename)
    return known


@pytest.fixture
def split_folder(tmp_path: Path) -> Path:
    """Write `<tmp>/data/valid_u` with frames, sentences and ground truth; return that folder."""
    folder = tmp_path / "data" / "valid_u"
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for video, entry in meta()["videos"].items():
        (folder / "JPEGImages" / video).mkdir(parents=True)
        for index, frame in enumerate(entry["frames"]):
            image = Image.fromarray(np.roll(noise, index, axis=1))
            image.save(folder / "JPEGImages" / video / f"{frame}.jpg", quality=90)
    write_meta(folder, meta())
    masks = {
        "7": [rle(square(2, frame)) for frame in range(3)],
        "8": [None, rle(square(20, 1)), rle(square(20, 2))],
        "9": [rle(square(0, frame)) for frame in range(2)],
    }
    (folder / "mask_dict.json").write_text(json.dumps(masks))
    return folder


@pytest.fixture
def split(split_folder: Path) -> Split:
    """Return the tiny split, read."""
    return read_split(split_folder.parent, split_folder.name)


@pytest.fixture
def answer(split: Split, tmp_path: Path) -> Path:
    """Write one mask for each frame of each sentence; return the folder with the videos."""
    rng = np.random.default_rng(11)
    folder = tmp_path / "run" / "Annotations"
    for video in split.videos:
        for expression in video.expressions:
            masks = rng.random((len(video.frame_names), *video.size)) < 0.3
            write_track(folder / video.name / expression.id, video.frame_names, masks)
    return folder
