"""The words of the verbs that work on a run: submit, predict, vote, pack and report."""

import argparse
from dataclasses import asdict, replace
from typing import Any, Literal

from submission.compute import Compute
from submission.errors import InputError
from submission.pipeline.submit import Run
from submission.recipe import Recipe
from submission.report.writing import REPORT_UNITS
from submission.run.results import recipe_of_run
from submission.score.table import LEAST, aligned, score_lines
from submission.terminal.progress import Reporter
from submission.terminal.tables import drawing
from submission.verbs.data import add_data, add_run, named_recipe, selection
from submission.verbs.published import published_lines
from submission.verbs.upload import upload_lines
from submission.verbs.verb import Arguments, add_verb
from submission.verbs.weights import add_lock, weights_of


def add_run_verbs(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `submit`, `predict`, `vote`, `pack` and `report`."""
    real = "--recipe my.toml --data /data/mevis --split valid"
    whole = "predict, vote, pack, check, score with ground truth, report"
    sample = "mevis-submission submit        (the sample split that comes along)"
    submit = add_verb(verbs, "submit", whole, f"{real}\n  {sample}", _submit)
    predict = add_verb(verbs, "predict", "let every expert answer all sentences; resumes",
                       f"{real} --shard 1/8", _predict)  # fmt: skip
    vote = add_verb(verbs, "vote", "join the experts' masks and write the PNGs", real, _vote)
    pack = add_verb(verbs, "pack", "pack the PNGs into submission.zip", real, _pack)
    report = add_verb(verbs, "report", "write a page that shows scores, agreement and every mask",
                      "--run runs/mine", _report)  # fmt: skip
    for verb in (submit, predict, vote, pack, report):
        add_data(verb)
        add_run(verb)
        verb.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                          help="another value for a key of the recipe: vote.rule=paper, "
                          "expert.NAME.frames=8; again for more")  # fmt: skip
    for verb in (submit, predict):
        verb.add_argument("--shard", metavar="I/N",
                          help="only part I of N balanced parts, for several machines "
                          "(submit takes it with --dry-run alone)")  # fmt: skip
        verb.add_argument("--device", help="auto, cpu, cuda or cuda:1 (default: the recipe's)")
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


def _submit(arguments: Arguments, reporter: Reporter) -> None:
    run = _make_run(arguments, reporter)
    if arguments.dry_run:
        _tell_plan(run, reporter)
        return
    outcome = run.submit()
    folder = run.folder
    size = folder.zip.stat().st_size / 1e6
    reporter.answer(
        zip=folder.zip, verdict=outcome.verdict.to_json(), report=outcome.report,
        scores=outcome.scores and outcome.scores.means, is_part=run.selection.is_part,
    )  # fmt: skip
    reporter.result(f"zip      {folder.zip} ({size:.2f} MB)")
    reporter.result(f"verdict  {folder.check}: {outcome.verdict.summary().partition(': ')[2]}")
    if outcome.scores is not None:
        reporter.result(f"score    {folder.score}")
        reporter.result("\n".join(score_lines(outcome.scores, drawing(aligned, LEAST))))
    elif run.split.truth_fault:
        reporter.result(f"score    none: {run.split.truth_fault.partition(chr(10))[0].rstrip(':')}")
    if run.recipe.published is not None:
        scores = outcome.scores
        ours = scores.results[scores.choose()].means if scores else None
        reporter.result("\n".join(published_lines(run.recipe.published, run.split.name, ours)))
    reporter.result(f"report   {outcome.report}")
    if run.selection.is_part:
        reporter.warn("only a part of the split was asked for: this zip is not for upload")
    else:
        for line in upload_lines(run.split, folder.path):
            reporter.result(line.rstrip())


def _predict(arguments: Arguments, reporter: Reporter) -> None:
    run = _make_run(arguments, reporter)
    if arguments.dry_run:
        _tell_plan(run, reporter)
        return
    run.predict()
    reporter.answer(predictions=run.folder.store.folder)
    reporter.result(f"predictions  {run.folder.store.folder}")


def _tell_plan(run: Run, reporter: Reporter) -> None:
    plan = run.plan()
    reporter.answer(plan=asdict(plan))
    reporter.result("\n".join(plan.lines()))


def _vote(arguments: Arguments, reporter: Reporter) -> None:
    run = _make_run(arguments, reporter)
    run.vote()
    reporter.answer(masks=run.folder.annotations)
    reporter.result(f"masks    {run.folder.annotations}")


def _pack(arguments: Arguments, reporter: Reporter) -> None:
    run = _make_run(arguments, reporter)
    run.pack()
    reporter.answer(zip=run.folder.zip)
    reporter.result(f"zip      {run.folder.zip}")


def _report(arguments: Arguments, reporter: Reporter) -> None:
    told = (arguments.recipe, arguments.data, arguments.split, arguments.meta)
    alone = arguments.run is not None and not any(told)
    if alone and arguments.set:
        raise InputError("--set changes a recipe: name it with --recipe")
    run = _make_run(arguments, reporter, recipe_of_run(arguments.run) if alone else None)
    reporter.plan(run.split.num_masks * REPORT_UNITS)
    page = run.report()
    reporter.answer(report=page)
    reporter.result(f"report   {page}")


def _workers_of(arguments: Arguments, compute: Compute) -> dict[str, Any]:
    """Where videos are answered, as the call has it; a cluster alone means all of its workers."""
    address = getattr(arguments, "ray", None) or compute.ray
    asked = getattr(arguments, "workers", None)
    workers = compute.workers if asked is None else asked
    if address and asked == 0:
        raise InputError(f"--workers 0 is this process alone, and --ray {address} is a cluster")
    return {"ray": address, "workers": (workers or "auto") if address else workers}


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
        **_workers_of(arguments, recipe.compute),
    )
    return Run(
        replace(recipe, compute=compute), selection(arguments), arguments.run, reporter,
        weights_of(arguments), hash_all=getattr(arguments, "verify", False),
        mend=getattr(arguments, "mend", False),
    )  # fmt: skip
