"""Score one result, a zip or folder of PNGs, from Python and in this process."""

from pathlib import Path

from submission.dataset.ground_truth import read_ground_truth
from submission.dataset.records import Split
from submission.errors import InputError
from submission.score.answers import PngSource
from submission.score.scoring import Score, score


def score_result(path: str | Path, split: Split) -> Score:
    """Return the scores of a result, 0 to 1; what is missing counts 0 and is a fault of the score.

    Raises InputError when nothing is at `path`, or when the split has no ground truth, and
    FaultyInput for ground truth that is damaged.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; pass a submission zip or its folder")
    return score(split, read_ground_truth(split), [PngSource("result", path)])["result"]
