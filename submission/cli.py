"""The command line: words become a recipe, a selection and one call; no logic of its own."""

import argparse
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from submission import __version__
from submission.ending import DONE, end_with, stoppable
from submission.errors import FaultyResult, InputError
from submission.output.check import Verdict
from submission.pipeline.check import CHECK_UNITS, check_files, keep_verdict
from submission.pipeline.submit import Run, read_data
from submission.progress import Mode, Reporter
from submission.recipe import SAMPLE, Recipe, recipe_series
from submission.report.writing import REPORT_UNITS
from submission.run.results import recipe_of_run
from submission.score.table import score_lines
from submission.verbs.calibrate import add_calibrate
from submission.verbs.container import add_container
from submission.verbs.data import (
    add_data,
    add_out,
    add_run,
    data_only,
    named_recipe,
    names_no_data,
    selection,
)
from submission.verbs.published import published_lines
from submission.verbs.score import add_compare, add_score
from submission.verbs.upload import add_upload
from submission.verbs.verb import Arguments, user_path
from submission.verbs.verb import add_verb as _verb
from submission.verbs.weights import add_lock, add_recipes, add_weights, weights_of


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status.

    0 done, 1 faults in a result, 2 wrong input, 3 an error that nobody foresaw, 130 interrupted.
    """
    arguments = build_parser().parse_args(words)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be Unicode
    with stoppable():
        reporter = Reporter(_mode(arguments), verbose=arguments.verbose)
        try:
            return _run(arguments, reporter)
        except KeyboardInterrupt as error:  # a second one, while the first was being told
            return end_with(error, reporter)


def _run(arguments: Arguments, reporter: Reporter) -> int:
    with reporter:
        try:
            for one in _one_recipe_each(arguments):
                one.action(one, reporter)
            sys.stdout.flush()
        except (Exception, KeyboardInterrupt) as error:
            return end_with(error, reporter, debug=arguments.debug)
    return DONE


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="mevis-submission", description="From a MeViS split to a checked submission zip."
    )
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    _add_run_verbs(verbs)
    _add_check(verbs)
    add_score(verbs)
    add_compare(verbs)
    add_calibrate(verbs)
    add_upload(verbs)
    add_container(verbs)
    add_weights(verbs)
    add_recipes(verbs)
    return parser


def _one_recipe_each(arguments: Arguments) -> Iterator[Arguments]:
    """A call on a series of recipes is one call for each, with a run folder of its own."""
    series = recipe_series(getattr(arguments, "recipe", None) or SAMPLE)
    if len(series) == 1:
        yield arguments
        return
    for recipe in series:
        run = arguments.run / Path(recipe).stem if arguments.run else None
        yield Arguments(**{**vars(arguments), "recipe": recipe, "run": run})


def _add_run_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    real = "--recipe my.toml --data /data/mevis --split valid"
    submit = _verb(verbs, "submit", "predict, vote, pack, check, score with ground truth, report",
                   f"{real}\n  mevis-submission submit        (the sample split that comes along)",
                   _submit)  # fmt: skip
    predict = _verb(verbs, "predict", "let every expert answer all sentences; resumes",
                    f"{real} --shard 1/8", _predict)  # fmt: skip
    vote = _verb(verbs, "vote", "join the experts' masks and write the PNGs", real, _vote)
    pack = _verb(verbs, "pack", "pack the PNGs into submission.zip", real, _pack)
    report = _verb(verbs, "report", "write a page that shows scores, agreement and every mask",
                   "--run runs/mine", _report)  # fmt: skip
    for verb in (submit, predict, vote, pack, report):
        add_data(verb)
        add_run(verb)
    for verb in (submit, predict):
        verb.add_argument("--shard", metavar="I/N",
                          help="only part I of N balanced parts, for several machines "
                          "(submit takes it with --dry-run alone)")  # fmt: skip
        verb.add_argument("--device", help="auto, cpu, cuda or cuda:1 (default: the recipe's)")
        verb.add_argument("--dtype", choices=["auto", "float32", "bfloat16"],
                          help="precision (default: the recipe's)")  # fmt: skip
        verb.add_argument("--dry-run", action="store_true",
                          help="check recipe and data, print the plan and stop")  # fmt: skip
        add_lock(verb)
        verb.add_argument("--verify", action="store_true",
                          help="hash checkpoints anew, trust no remembered hash")  # fmt: skip


def _add_check(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verb = _verb(verbs, "check", "read a zip or folder of PNGs as the judge does",
                 "submission.zip --data /data/mevis --split valid", _check)  # fmt: skip
    verb.add_argument("path", type=user_path, metavar="ZIP_OR_FOLDER")
    verb.add_argument("--team", action="store_true", help="team.json must be there")
    add_data(verb)
    add_out(verb)


def _submit(arguments: Arguments, reporter: Reporter) -> None:
    run = _make_run(arguments, reporter)
    if arguments.dry_run:
        print("\n".join(run.plan().lines()))
        return
    outcome = run.submit()
    folder = run.folder
    size = folder.zip.stat().st_size / 1e6
    print(f"zip      {folder.zip} ({size:.2f} MB)")
    print(f"verdict  {folder.check}: {outcome.verdict.summary().partition(': ')[2]}")
    if outcome.scores is not None:
        print(f"score    {folder.score}")
        print("\n".join(score_lines(outcome.scores)))
    elif run.split.truth_fault:
        print(f"score    none: {run.split.truth_fault.partition(chr(10))[0].rstrip(':')}")
    if run.recipe.published is not None:
        scores = outcome.scores
        ours = scores.results[scores.choose()].means if scores else None
        print("\n".join(published_lines(run.recipe.published, run.split.name, ours)))
    print(f"report   {outcome.report}")
    if run.selection.is_part:
        reporter.warn("only a part of the split was asked for: this zip is not for upload")


def _predict(arguments: Arguments, reporter: Reporter) -> None:
    run = _make_run(arguments, reporter)
    if arguments.dry_run:
        print("\n".join(run.plan().lines()))
        return
    run.predict()
    print(f"predictions  {run.folder.store.folder}")


def _vote(arguments: Arguments, reporter: Reporter) -> None:
    run = _make_run(arguments, reporter)
    run.vote()
    print(f"masks    {run.folder.annotations}")


def _pack(arguments: Arguments, reporter: Reporter) -> None:
    run = _make_run(arguments, reporter)
    run.pack()
    print(f"zip      {run.folder.zip}")


def _report(arguments: Arguments, reporter: Reporter) -> None:
    told = (arguments.recipe, arguments.data, arguments.split, arguments.meta)
    alone = arguments.run is not None and not any(told)
    run = _make_run(arguments, reporter, recipe_of_run(arguments.run) if alone else None)
    reporter.plan(run.split.num_masks * REPORT_UNITS)
    print(f"report   {run.report()}")


def _check(arguments: Arguments, reporter: Reporter) -> None:
    split = read_data(data_only(arguments), selection(arguments), reporter)
    reporter.plan(split.num_masks * CHECK_UNITS)
    out = _beside(arguments, "check.json")
    verdict = check_files(arguments.path, split, require_team=arguments.team, reporter=reporter)
    told = verdict.summary()
    if names_no_data(arguments):
        told = _against_sample(verdict, told)
    if keep_verdict(verdict, out, reporter):
        told += f"\nThe {'verdict' if verdict.ok else 'list'} as JSON: {out}"
    elif arguments.out is None:
        told += "\nTo keep it as JSON, name another folder: --out DIR"
    if not verdict.ok:
        raise FaultyResult(told)
    print(told)


def _against_sample(verdict: Verdict, told: str) -> str:
    """Say that no data was named; where nothing fits the sample, only that."""
    if verdict.counts["files"] == 0:
        return (
            f"{verdict.path}: it has no mask of the sample split, which it was held against "
            "because no data was named; give --data DIR --split NAME"
        )
    return f"held against the sample split (for another: --data DIR --split NAME)\n{told}"


def _make_run(arguments: Arguments, reporter: Reporter, recipe: Recipe | None = None) -> Run:
    """The run that a call means; its recipe is the one that is named, where none is given."""
    if arguments.recipe is None and (arguments.data or arguments.split):
        raise InputError(
            "--data and --split need a recipe that says which checkpoints to run: add --recipe "
            "FILE.toml (without all three, the sample that comes along is run)"
        )
    recipe = recipe or named_recipe(arguments)
    compute = replace(
        recipe.compute,
        device=getattr(arguments, "device", None) or recipe.compute.device,
        dtype=getattr(arguments, "dtype", None) or recipe.compute.dtype,
    )
    folder = arguments.run or Path("runs") / recipe.name
    return Run(
        replace(recipe, compute=compute), selection(arguments), folder, reporter,
        weights_of(arguments), hash_all=getattr(arguments, "verify", False),
    )  # fmt: skip


def _beside(arguments: Arguments, name: str) -> Path:
    path: Path = arguments.path
    if arguments.out is not None:
        return Path(arguments.out) / name
    return path.parent / f"{path.name}.{name}"


def _mode(arguments: Arguments) -> Mode:
    if arguments.json:
        return "json"
    if arguments.quiet:
        return "quiet"
    return "bar" if sys.stderr.isatty() else "plain"
