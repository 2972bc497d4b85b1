"""The command line: words become a recipe, a selection and one call; no logic of its own."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from submission import __version__
from submission.cli_weights import add_lock, add_recipes, add_weights, weights_of
from submission.dataset.selection import parse_shard
from submission.errors import FaultyResult, InputError, SubmissionError
from submission.judge import CHECK_UNITS, SCORE_UNITS, Means, check_files, score_files
from submission.progress import Mode, Reporter
from submission.published import published_lines
from submission.recipe import SAMPLE, Recipe, read_recipe, recipe_series
from submission.submit import Run, Selection, read_data
from submission.verbs import Arguments
from submission.verbs import add_verb as _verb

INTERRUPTED = 130  # what shells expect after Ctrl-C


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0 done, 1 faults in a result, 2 wrong input."""
    arguments = build_parser().parse_args(words)
    with Reporter(_mode(arguments), verbose=arguments.verbose) as reporter:
        try:
            for one in _one_recipe_each(arguments):
                one.action(one, reporter)
        except SubmissionError as error:
            reporter.fail(str(error))
            return error.exit_status
        except KeyboardInterrupt:
            reporter.fail("Stopped. What is finished is kept: the same command goes on from there.")
            return INTERRUPTED
        except OSError as error:
            # Disk full, no permission: the user's to mend, and the message names the file.
            reporter.fail(f"{error.filename or 'input/output'}: {error.strerror or error}")
            return InputError.exit_status
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="mevis-submission", description="From a MeViS split to a checked submission zip."
    )
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    _add_run_verbs(verbs)
    _add_check(verbs)
    _add_score(verbs)
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
    submit = _verb(verbs, "submit", "predict, vote, pack, check, and score where truth is known",
                   f"{real}\n  mevis-submission submit        (the sample split that comes along)",
                   _submit)  # fmt: skip
    predict = _verb(verbs, "predict", "let every expert answer all sentences; resumes",
                    f"{real} --shard 1/8", _predict)  # fmt: skip
    vote = _verb(verbs, "vote", "join the experts' masks and write the PNGs", real, _vote)
    pack = _verb(verbs, "pack", "pack the PNGs into submission.zip", real, _pack)
    for verb in (submit, predict, vote, pack):
        _add_data(verb)
        verb.add_argument("--recipe", default=None, metavar="FILE.toml",
                          help="what to run: file or packaged name (default: sample)")  # fmt: skip
        verb.add_argument("--run", type=Path, metavar="DIR",
                          help="where the results go (default: runs/RECIPE)")  # fmt: skip
    for verb in (submit, predict):
        verb.add_argument("--shard", metavar="I/N",
                          help="only part I of N balanced parts, for several machines")  # fmt: skip
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
    verb.add_argument("path", type=Path, metavar="ZIP_OR_FOLDER")
    verb.add_argument("--team", action="store_true", help="team.json must be there")
    _add_data(verb)
    _add_out(verb)


def _add_score(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verb = _verb(verbs, "score", "J, F and J&F of a zip or folder of PNGs",
                 "submission.zip --data /data/mevis --split valid_u", _score)  # fmt: skip
    verb.add_argument("path", type=Path, metavar="ZIP_OR_FOLDER")
    _add_data(verb)
    _add_out(verb)


def _add_data(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--data", type=Path, metavar="DIR", help="the folder that holds the splits")
    verb.add_argument("--split", metavar="NAME", help="such as valid_u, valid or test")
    verb.add_argument("--meta", metavar="FILE", help="the meta file, where a split has several")
    verb.add_argument("--videos", metavar="A,B,...", help="only these videos")
    verb.add_argument("--limit", type=int, metavar="N", help="only the first N videos")


def _add_out(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--out", type=Path, metavar="DIR", help="for the JSON (default: beside PATH)")


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
    if outcome.means is not None:
        print(f"score    {folder.score}")
        _print_means(outcome.means)
    if run.recipe.published is not None:
        ours = outcome.means["vote"] if outcome.means else None
        print("\n".join(published_lines(run.recipe.published, run.split.name, ours)))
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


def _check(arguments: Arguments, reporter: Reporter) -> None:
    split = read_data(_data_only(arguments), _selection(arguments))
    reporter.plan(split.num_masks * CHECK_UNITS)
    out = _beside(arguments, "check.json")
    verdict = check_files(
        arguments.path, split, out, require_team=arguments.team, reporter=reporter
    )
    if not verdict.ok:
        raise FaultyResult(f"{verdict.summary()}\nThe list as JSON: {out}")
    print(f"{verdict.summary()}\nThe verdict as JSON: {out}")


def _score(arguments: Arguments, reporter: Reporter) -> None:
    split = read_data(_data_only(arguments), _selection(arguments))
    reporter.plan(split.num_masks * SCORE_UNITS)
    out = _beside(arguments, "score.json")
    means = score_files(arguments.path, split, out, reporter)
    _print_means(means)
    print(f"Every sentence: {out}")


def _make_run(arguments: Arguments, reporter: Reporter) -> Run:
    if arguments.recipe is None and (arguments.data or arguments.split):
        raise InputError(
            "--data and --split need a recipe that says which checkpoints to run: add --recipe "
            "FILE.toml (without all three, the sample that comes along is run)"
        )
    recipe = read_recipe(arguments.recipe or SAMPLE)
    recipe = recipe.with_data(arguments.data, arguments.split, arguments.meta)
    compute = replace(
        recipe.compute,
        device=getattr(arguments, "device", None) or recipe.compute.device,
        dtype=getattr(arguments, "dtype", None) or recipe.compute.dtype,
    )
    folder = arguments.run or Path("runs") / recipe.name
    return Run(
        replace(recipe, compute=compute), _selection(arguments), folder, reporter,
        weights_of(arguments), hash_all=getattr(arguments, "verify", False),
    )  # fmt: skip


def _data_only(arguments: Arguments) -> Recipe:
    """A recipe that only names data; without --data, the sample's."""
    if arguments.data is None and arguments.split is None:
        return read_recipe(SAMPLE)
    return Recipe("", Path(), ()).with_data(arguments.data, arguments.split, arguments.meta)


def _selection(arguments: Arguments) -> Selection:
    shard = getattr(arguments, "shard", None)
    return Selection(
        videos=tuple(arguments.videos.split(",")) if arguments.videos else None,
        limit=arguments.limit,
        shard=parse_shard(shard) if shard else None,
    )


def _beside(arguments: Arguments, name: str) -> Path:
    path: Path = arguments.path
    if arguments.out is not None:
        return Path(arguments.out) / name
    return path.parent / f"{path.name}.{name}"


def _print_means(means: Means) -> None:
    width = max(map(len, means))
    for name, values in means.items():
        numbers = "  ".join(f"{key} {value:.3f}" for key, value in values.items())
        print(f"  {name:<{width}}  {numbers}")


def _mode(arguments: Arguments) -> Mode:
    if arguments.json:
        return "json"
    if arguments.quiet:
        return "quiet"
    return "bar" if sys.stderr.isatty() else "plain"
