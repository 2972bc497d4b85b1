"""Train the small model from nothing: `python -m scripts.train_sample_model OUT`; see --help."""

import argparse
import subprocess
import sys
from pathlib import Path

import torch

from scripts.sample_data.write_split import PLANS
from scripts.train_sample_model import grounding_half, joint, language_half
from scripts.train_sample_model.export import export
from scripts.train_sample_model.loop import Course, curve_of
from scripts.train_sample_model.pictures import Painter
from scripts.train_sample_model.questions import Asker
from scripts.train_sample_model.sizes import config_values
from scripts.train_sample_model.start import start

PARTS = ("grounding", "language", "joint", "export")
HELP = """
    python -m scripts.train_sample_model build/small                  # everything
    python -m scripts.train_sample_model build/small --part language  # one part, or its rest
    python -m scripts.train_sample_model build/quick --scale 0.01     # a minute, to see it work

The first two parts run side by side, one thread each. A stopped run goes on where it last saved
when the same command is given again. OUT/checkpoint is the result, OUT/state what is resumed,
OUT/*.log the output of the two parts.
"""


def main() -> int:
    """Train what is asked for; return 0, or 1 where a part failed."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.train_sample_model", epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of steps")
    parser.add_argument("--pictures", type=int, default=5, help="of a clip that are read, mostly")
    parser.add_argument(
        "--grounding", type=Path, help="OUT of another run: take its grounding half"
    )
    parser.add_argument("--part", choices=PARTS, help="default: all, one after the other")
    arguments = parser.parse_args()
    trainer = Trainer(arguments)
    if arguments.part:
        trainer.train(arguments.part)
        return 0
    if not side_by_side(arguments, PARTS[1:2] if arguments.grounding else PARTS[:2]):
        return 1
    for part in PARTS[2:]:
        trainer.train(part)
    return 0


class Trainer:
    """One model on its way: where it lies, what it is, and its parts."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        torch.set_num_threads(1)
        self.out, self.seed, self.scale = arguments.out, arguments.seed, arguments.scale
        self.grounding_out: Path = arguments.grounding or self.out
        self.switches = switches(arguments)
        self.checkpoint = self.out / "checkpoint"
        self.network, self.config, tokenizer = start(self.checkpoint, self.seed)
        painter = Painter()
        self.grounding = grounding_half.GroundingHalf(self.network.grounding, painter)
        self.language = language_half.LanguageHalf(
            self.network, Asker(tokenizer), painter, arguments.pictures
        )
        self.joint = joint.Joint(self.language, self.grounding)

    def train(self, part: str) -> None:
        """Take all steps of a part that are not taken yet."""
        if part == "grounding":
            self._course(part, self.grounding).run(
                grounding_half.stages(self.grounding, self.scale)
            )
        elif part == "language":
            self._course(part, self.language).run(language_half.stages(self.language, self.scale))
        elif part == "joint":
            self._take_halves()
            self._course(part, self.joint).run(joint.stages(self.joint, self.scale))
        else:
            self._export()

    def _course(self, name: str, module: torch.nn.Module) -> Course:
        return Course(name, self.out / "state", self.seed, module)

    def _take_halves(self) -> None:
        Course("grounding", self.grounding_out / "state", self.seed, self.grounding).load()
        self._course("language", self.language).load()

    def _export(self) -> None:
        """Write the checkpoint: of joint training, or of the halves where there was none."""
        parts = [name for name in PARTS[:3] if (self.out / "state" / f"{name}.pt").is_file()]
        if "joint" in parts:
            self._course("joint", self.joint).load()
        else:
            self._take_halves()
        curves = {name: curve_of(self.out / "state" / f"{name}.pt") for name in parts}
        record = {
            "command": f"python -m scripts.train_sample_model OUT {' '.join(self.switches)}",
            "minutes": {name: round(curve[-1]["seconds"] / 60, 1)
                        for name, curve in curves.items() if curve},
            "data": "scenes drawn from the seed, style TRAINING of scripts/sample_data/style.py; "
            "no clip of any split is trained on",
            "splits": {name: plan.digest for name, plan in PLANS.items() if plan.digest},
            "license": "Apache-2.0, as the project",
            "curves": curves,
        }  # fmt: skip
        values = config_values(int(self.config.llm.vocab_size))
        size = export(self.checkpoint, self.network, self.config, values, record)
        print(f"{self.checkpoint}: {size / 1e6:.2f} MB, trained {record['minutes']} minutes")


def switches(arguments: argparse.Namespace) -> list[str]:
    """The switches that decide the weights, as a command line has them."""
    named = {
        "--seed": arguments.seed, "--scale": arguments.scale, "--pictures": arguments.pictures,
    }  # fmt: skip
    if arguments.grounding:
        named["--grounding"] = arguments.grounding
    return [str(part) for pair in named.items() for part in pair]


def side_by_side(arguments: argparse.Namespace, parts: tuple[str, ...]) -> bool:
    """Train parts in processes of their own; say where their output is; tell whether all worked."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    running = []
    for part in parts:
        log = arguments.out / f"{part}.log"
        command = [
            sys.executable, "-m", "scripts.train_sample_model", str(arguments.out),
            *switches(arguments), "--part", part,
        ]  # fmt: skip
        with log.open("a") as file:
            running.append((log, subprocess.Popen(command, stdout=file, stderr=file)))
        print(f"training {part}: follow it with  tail -f {log}", flush=True)
    failed = [log for log, process in running if process.wait() != 0]
    for log in failed:
        print(f"{log.stem} failed; {log} says why", file=sys.stderr)
    return not failed


if __name__ == "__main__":
    sys.exit(main())
