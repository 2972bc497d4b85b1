"""Damage files by kind, with a seed, and print what came of it: python -m scripts.damage."""

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import chdir
from pathlib import Path

from scripts.benchmark.tables import markdown
from scripts.damage.kinds import KINDS, restore
from scripts.damage.outcome import BAD, MENDED, NAMED, OTHER, WORKED, Case, one_case
from scripts.damage.scene import INPUTS, MODEL, READ, RUN, Target, lay_out, results


def main(words: Sequence[str] | None = None) -> int:
    """Print a table of outcomes; 1 when something happened that must not."""
    parser = argparse.ArgumentParser(prog="python -m scripts.damage", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", type=int, default=1, metavar="N",
                        help="files of each target and kind (default: %(default)s)")  # fmt: skip
    parser.add_argument("--only", metavar="TEXT", help="targets with this in their name")
    parser.add_argument("-v", "--verbose", action="store_true", help="show every outcome")
    arguments = parser.parse_args(words)
    targets = [one for one in (*INPUTS, *READ, *RUN) if (arguments.only or "") in one.name]
    with tempfile.TemporaryDirectory() as base:
        lay_out_in(Path(base) / "whole")
        found = []
        for name, kind, case in damage_all(Path(base), targets, arguments.seed, arguments.each):
            found.append((name, kind, case))
            if case.outcome == BAD or arguments.verbose:
                print(f"{name}, {kind}: {case.outcome}: {case.words}", file=sys.stderr, flush=True)
    print(table(found))
    return 1 if any(case.outcome == BAD for _, _, case in found) else 0


def lay_out_in(folder: Path, expert: str = MODEL) -> None:
    """Write the scene into a new folder; `expert` predicts in it, as lines of TOML."""
    folder.mkdir()
    with chdir(folder):
        lay_out(Path(), expert)


def damage_all(base: Path, targets: Sequence[Target], seed: int, each: int,
               kinds: Sequence[str] = KINDS) -> Iterator[tuple[str, str, Case]]:  # fmt: skip
    """Damage `each` files of every target in every way, one at a time, in a copy of the scene.

    `base`/whole holds the scene. What is drawn depends on seed, target and kind alone.
    """
    place = base / "place"
    place.mkdir(exist_ok=True)
    whole = results(base / "whole/out")
    for target in targets:
        for kind in kinds:
            rng = random.Random(f"{seed} {target.name} {kind}")
            for _ in range(each):
                restore(base / "whole", place)
                files = sorted(path for path in place.glob(target.pattern) if path.is_file())
                file = rng.choice(files).relative_to(place)
                with chdir(place):
                    case = one_case(target, file, kind, rng, whole)
                yield target.name, kind, case


def table(found: Sequence[tuple[str, str, Case]]) -> str:
    """How often each outcome came, by target."""
    outcomes = (WORKED, MENDED, NAMED, OTHER, BAD)
    rows = []
    for name in dict.fromkeys(name for name, _, _ in found):
        counts = Counter(case.outcome for target, _, case in found if target == name)
        rows.append([name, str(counts.total()), *(str(counts[one]) for one in outcomes)])
    return markdown(["damaged", "files", *outcomes], rows)


if __name__ == "__main__":
    sys.exit(main())
