"""The words of `container build` and `container run`; no logic of their own."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from submission.errors import FaultyResult, InputError
from submission.progress import Reporter
from submission.verbs.verb import Arguments, add_verb

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]

IMAGE = "mevis-submission"
KILLED = 137  # what an engine reports after SIGKILL


def add_container(verbs: "Verbs") -> None:
    """Add `container` with its verbs."""
    summary = "build the image, or run a verb in it (docs/container.md)"
    group = verbs.add_parser("container", help=summary, description=summary)
    below = group.add_subparsers(dest="container_verb", required=True, metavar="VERB")
    _add_build(below)
    _add_run(below)


def _add_build(verbs: "Verbs") -> None:
    verb = add_verb(verbs, "build", "build the image from a checkout", "--torch cpu", _build)
    _add_image(verb)
    verb.add_argument("--torch", choices=["cuda", "cpu"], default="cuda", help="build of torch")
    verb.add_argument("--base", metavar="IMAGE", help="another base image")
    verb.add_argument("--python", metavar="3.11", help="the Python of that base")
    verb.add_argument("--network", metavar="NAME", help="network of the build, such as host")
    verb.add_argument("--source", type=Path, metavar="DIR", help="the checkout (default: this one)")


def _add_run(verbs: "Verbs") -> None:
    verb = add_verb(verbs, "run", "run a verb in the image, hardened and without network",
                    "--data /data/mevis submit --recipe pvuw4 --split valid", _run)  # fmt: skip
    _add_image(verb)
    verb.add_argument("--data", type=Path, metavar="DIR", help="at /data, read-only")
    verb.add_argument("--weights", type=Path, metavar="DIR",
                      help="at /weights, read-only (default: $MEVIS_WEIGHTS)")  # fmt: skip
    verb.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR",
                      help="at /runs, for results (default: %(default)s)")  # fmt: skip
    verb.add_argument("--gpus", choices=["auto", "all", "none"], default="auto",
                      help="auto: all where an NVIDIA driver answers")  # fmt: skip
    verb.add_argument("--user", metavar="UID:GID", help="who owns the results (default: you)")
    verb.add_argument("words", nargs=argparse.REMAINDER, metavar="VERB ...",
                      help="what to do inside, with its own options")  # fmt: skip


def _add_image(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--image", default=IMAGE, help="its name (default: %(default)s)")


# Docker's client is imported where it is used: no other verb shall wait for it.
def _build(arguments: Arguments, reporter: Reporter) -> None:
    from submission.container.engine import connect
    from submission.container.image import CHECKOUT, ImageBuild, build

    what = ImageBuild(
        arguments.source or CHECKOUT, arguments.image, arguments.torch, base=arguments.base,
        python=arguments.python, network=arguments.network,
    )  # fmt: skip
    identity = build(connect(), what, reporter.say)
    print(f"image    {what.image} ({identity.removeprefix('sha256:')[:12]})")


def _run(arguments: Arguments, reporter: Reporter) -> None:
    from submission.container.engine import connect
    from submission.container.run import ContainerRun, driver_answers, print_output, run

    gpus = arguments.gpus == "all" or (arguments.gpus == "auto" and driver_answers())
    weights = arguments.weights or os.environ.get("MEVIS_WEIGHTS")
    words = arguments.words[1:] if arguments.words[:1] == ["--"] else arguments.words
    what = ContainerRun(
        arguments.image, tuple(words), arguments.runs, data=arguments.data,
        weights=Path(weights) if weights else None, gpus=gpus, user=arguments.user,
        threads=os.environ.get("OMP_NUM_THREADS"),
    )  # fmt: skip
    client = connect()
    if not gpus:
        reporter.say("No GPU in the container: the CPU is used (--gpus all asks for GPUs).")
    status = run(client, what, print_output)
    if status == KILLED:
        raise InputError("The container was killed: most often the machine's memory was too small.")
    if status:
        kind = FaultyResult if status == FaultyResult.exit_status else InputError
        raise kind(f"The container ended with exit status {status}; the reason stands above.")
