"""Read the data that a recipe or a command names: a checked split, or a refusal before any work."""

from submission.dataset.mevis import read_split
from submission.dataset.records import DataNames, Split
from submission.dataset.selection import Selection
from submission.errors import InputError
from submission.pipeline.truth import warn_of_other_files
from submission.terminal.progress import Reporter


def read_data(data: DataNames, selection: Selection, reporter: Reporter) -> Split:
    """Read and check a split, and take the selected part of it."""
    return selection.of(read_whole(data, reporter))


def read_whole(data: DataNames, reporter: Reporter) -> Split:
    """Read and check a split; raise InputError where it is not named."""
    if data.root is None or data.split is None:
        names = {"--data DIR": data.root, "--split NAME": data.split}
        missing = " and ".join(name for name, value in names.items() if value is None)
        raise InputError(
            f"which data? Give {missing}, too, or root and split in the [data] of a recipe"
        )
    split = read_split(data.root, data.split, data.meta)
    warn_of_other_files(split, reporter)
    return split
