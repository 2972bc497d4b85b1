"""A complete answer to the tiny split, as a folder of PNGs."""

from pathlib import Path

import numpy as np
import pytest

from submission.dataset.mevis import Split
from submission.output.png_files import write_track


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
