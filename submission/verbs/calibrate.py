"""The words of `calibrate`; no logic of their own."""

import argparse
from dataclasses import asdict

from submission.errors import InputError
from submission.gate.calibration_file import write_calibration
from submission.gate.evidence import KINDS
from submission.gate.lines import calibration_lines
from submission.pipeline.calibrate import CALIBRATE_UNITS, calibrate_run
from submission.pipeline.read import read_data
from submission.run.folder import RunFolder
from submission.run.record import describe_data
from submission.run.results import recipe_of_run
from submission.terminal.progress import Reporter
from submission.verbs.data import add_data, selection
from submission.verbs.verb import Arguments, Verb, user_path


def _add_words(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--run", type=user_path, required=True, metavar="DIR",
                      help="a run on a split with labels")  # fmt: skip
    verb.add_argument("--share", type=float, required=True, metavar="S",
                      help="expected share of no-target sentences where the gate will be used: "
                      "0.04 as in valid_u of v2, 0.09 as in the test of LSVOS 2026")  # fmt: skip
    verb.add_argument("--evidence", metavar="A,B,...", default="",
                      help=f"only of these kinds (docs/gate.md): {', '.join(KINDS)}")  # fmt: skip
    verb.add_argument("--out", type=user_path, metavar="FILE.json",
                      help="what `[gate] calibration` reads (default: RUN/gate.json)")  # fmt: skip
    add_data(verb)


def _calibrate(arguments: Arguments, reporter: Reporter) -> None:
    recipe = recipe_of_run(arguments.run)
    if recipe is None:
        raise InputError(f"{arguments.run}: no run with a record is there; begin it with submit")
    recipe = recipe.with_data(arguments.data, arguments.split, arguments.meta)
    split = read_data(recipe.data, selection(arguments), reporter)
    kinds = tuple(filter(None, arguments.evidence.split(",")))
    if unknown := [name for name in kinds if name not in KINDS]:
        raise InputError(f"--evidence {', '.join(unknown)}: the kinds are {', '.join(KINDS)}")
    reporter.plan(split.num_masks * CALIBRATE_UNITS)
    found, table = calibrate_run(
        recipe, split, RunFolder(arguments.run), arguments.share, kinds, reporter
    )
    out = arguments.out or arguments.run / "gate.json"
    made_from = {"run": arguments.run.name, **describe_data(split, selection(arguments).is_part)}
    write_calibration(out, found, {name: made_from[name] for name in made_from if name != "root"})
    reporter.answer(
        file=out, rule=found.gate.in_words(), before=asdict(found.before),
        after=asdict(found.after), gain=asdict(found.gain),
    )  # fmt: skip
    reporter.result(
        "\n".join(calibration_lines(found, len(table.videos), int(table.no_target.sum())))
    )
    reporter.result(f'\nkept in {out}; use it with [gate] calibration = "{out.absolute()}"')


VERB = Verb(
    "calibrate", "find the gate that empties no-target sentences best",
    "--run runs/train --share 0.04 --out gate.json", _add_words, _calibrate, place=90,
)  # fmt: skip
