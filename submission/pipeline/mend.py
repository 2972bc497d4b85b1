"""Drop exactly what a disk has spoilt in the prediction store, so that predict makes it again."""

from submission.counted import counted
from submission.dataset.records import Split
from submission.errors import Fault, list_faults
from submission.masks.store import PredictionStore
from submission.recipes.recipe import Recipe
from submission.terminal.progress import Reporter


def drop_damaged(
    recipe: Recipe, split: Split, store: PredictionStore, reporter: Reporter, *, dry: bool = False
) -> None:
    """Remove records and answers of the recipe's experts that cannot be read; all are read.

    With `dry` they are only named.
    """
    found = [path for expert in recipe.entries for path in store.damaged(expert.name, split)]
    if not found:
        reporter.say("no damaged predictions")
        return
    verb = "would be" if dry else "is" if len(found) == 1 else "are"
    reporter.warn(
        list_faults(
            f"{counted(len(found), 'file')} {verb} dropped and made again:",
            [Fault(str(path), "damaged") for path in found],
        )
    )
    if not dry:
        store.drop(found)
