"""Whether the ground truth of a split can be used: seen before the work, remembered in the run.

A fault of the truth never ends a run: masks, zip, verdict and page need none.
"""

from dataclasses import replace

from submission.code_digest import code_digest
from submission.dataset.ground_truth import read_ground_truth
from submission.dataset.official import differs_from_official
from submission.dataset.records import Split
from submission.errors import InputError
from submission.run.folder import RunFolder
from submission.run.stages import file_states
from submission.terminal.progress import Reporter
from submission.weights.hashes import hash_files

STAGE = "truth"


def settle_truth(
    split: Split, run: RunFolder, reporter: Reporter, *, keep: bool = True
) -> Split:  # fmt: skip
    """Return the split, without its ground truth and with the reason where that cannot be used.

    `keep` remembers the answer in the run folder: reading 400 MB takes seconds.
    """
    split = replace(split, truth_fault=None)  # an earlier look may be out of date
    if split.mask_file is None:
        return split
    inputs = {
        "truth": file_states([split.mask_file, split.meta_file]),
        "videos": {video.name: video.size for video in split.videos},
        "code": code_digest("submission.dataset.ground_truth"),
    }
    if run.stages.is_current(STAGE, inputs):
        fault = run.stages.read(STAGE).get("fault")
    else:
        fault = _fault_of(split)
        if keep:
            run.stages.record(STAGE, inputs, fault=fault)
    if fault is None:
        return split
    reporter.warn(f"there will be no score. {fault}")
    return replace(split, truth_fault=str(fault))


def warn_of_other_files(split: Split, reporter: Reporter) -> None:
    """Warn when the masks of an official split are not those that MeViS published."""
    path = split.mask_file
    if path is None:
        return
    if reason := differs_from_official(split, lambda: hash_files([path])[path.name]):
        reporter.warn(f"{path}: {reason}")


def _fault_of(split: Split) -> str | None:
    try:
        read_ground_truth(split)
    except InputError as error:
        return str(error)
    return None
