"""The words of every verb that works on a run, and the run that a call means."""

import argparse
import shlex
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from submission.compute import Compute
from submission.errors import InputError
from submission.pipeline.submit import Run
from submission.recipes.find import SAMPLE
from submission.recipes.recipe import Recipe
from submission.run.results import begun_with
from submission.terminal.progress import Reporter
from submission.verbs.data import add_data, add_run, named_recipe, selection
from submission.verbs.lock import add_lock, weights_of
from submission.verbs.verb import Arguments

REAL = "--recipe my.toml --data /data/mevis --split valid"  # a call on data that is not the sample


def add_words(verb: argparse.ArgumentParser) -> None:
    """Add what names a run: recipe, data and folder."""
    add_data(verb)
    add_run(verb)
    verb.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                      help="another value for a key of the recipe: vote.rule=paper, "
                      "expert.NAME.frames=8; may be repeated")  # fmt: skip


def add_prediction(verb: argparse.ArgumentParser) -> None:
    """Add what names a run whose experts answer, and how they do."""
    add_words(verb)
    verb.add_argument("--shard", metavar="I/N",
                      help="only part I of N balanced parts of the videos, for several machines "
                      "(submit takes it with --dry-run alone)")  # fmt: skip
    verb.add_argument("--device", metavar="NAME",
                      help="auto, cpu, cuda or cuda:1 (default: the recipe's)")  # fmt: skip
    verb.add_argument("--dtype", choices=["auto", "float32", "bfloat16"],
                      help="precision (default: the recipe's)")  # fmt: skip
    verb.add_argument("--workers", metavar="N|auto", type=_workers,
                      help="answer videos in N processes over Ray, one for each GPU with auto "
                      "(default: the recipe's, which is this process alone)")  # fmt: skip
    verb.add_argument("--ray", metavar="ADDRESS",
                      help="use the workers of a running Ray cluster; auto: the one that "
                      "RAY_ADDRESS names")  # fmt: skip
    verb.add_argument("--dry-run", action="store_true",
                      help="check recipe and data, print the plan and stop")  # fmt: skip
    add_lock(verb)
    verb.add_argument("--verify", action="store_true",
                      help="hash checkpoints anew, trust no remembered hash")  # fmt: skip
    verb.add_argument("--mend", action="store_true",
                      help="drop stored predictions that are damaged, and make exactly these "
                      "again")  # fmt: skip


def _workers(text: str) -> "int | Literal['auto']":
    if text == "auto" or (text.isascii() and text.isdigit()):
        return "auto" if text == "auto" else int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor auto")


def tell_plan(run: Run, reporter: Reporter) -> None:
    """Answer a dry run."""
    plan = run.plan()
    reporter.answer(plan=asdict(plan))
    reporter.result("\n".join(plan.lines()))


def make_run(arguments: Arguments, reporter: Reporter, recipe: Recipe | None = None) -> Run:
    """The run that a call means; its recipe is the one that is named, where none is given."""
    if arguments.recipe is None and (arguments.data or arguments.split):
        raise InputError(
            "--data and --split need a recipe that says which checkpoints to run: add --recipe "
            "FILE.toml (without all three, the sample that comes along is run)"
        )
    if recipe is None and arguments.recipe is None and arguments.run is not None:
        _refuse_forgotten_recipe(arguments.run)
    recipe = recipe or named_recipe(arguments)
    compute = replace(
        recipe.compute,
        device=getattr(arguments, "device", None) or recipe.compute.device,
        dtype=getattr(arguments, "dtype", None) or recipe.compute.dtype,
        **_workers_of(arguments, recipe.compute),
    )
    return Run(
        replace(recipe, compute=compute), selection(arguments), arguments.run, reporter,
        weights_of(arguments), hash_all=getattr(arguments, "verify", False),
        mend=getattr(arguments, "mend", False),
    )  # fmt: skip


def _refuse_forgotten_recipe(run: Path) -> None:
    """Raise InputError where a call without a recipe, which means the sample, names another run."""
    name, command = begun_with(run)
    if name not in (None, SAMPLE):
        like = f", as in: {shlex.join(command)}" if "--recipe" in command else ""
        raise InputError(
            f"{run}: this run was made with the recipe {name}, and without --recipe this call "
            f"means the sample: name recipe and data again{like}"
        )


def _workers_of(arguments: Arguments, compute: Compute) -> dict[str, Any]:
    """Where videos are answered, as the call has it; a cluster alone means all of its workers."""
    address = getattr(arguments, "ray", None) or compute.ray
    asked = getattr(arguments, "workers", None)
    workers = compute.workers if asked is None else asked
    if address and asked == 0:
        raise InputError(f"--workers 0 is this process alone, and --ray {address} is a cluster")
    return {"ray": address, "workers": (workers or "auto") if address else workers}
