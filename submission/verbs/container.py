"""The words of `container build` and `container run`; no logic of their own."""

import argparse
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from submission.errors import FaultyResult, InputError
from submission.files.user_paths import expand
from submission.terminal.progress import Reporter
from submission.verbs.verb import Arguments, Group, Verb, user_path
from submission.weights.folders import Weights, weights_folder
from submission.weights.hub_cache import hub_cache
from submission.weights.lock_file import default_lock, read_lock

if TYPE_CHECKING:
    from submission.container.run import ContainerRun

IMAGE = "mevis-submission"
TEMPORARY = "8g"  # of /tmp
KILLED = 137  # what an engine reports after SIGKILL


def _add_build(verb: argparse.ArgumentParser) -> None:
    _add_image(verb)
    verb.add_argument(
        "--torch",
        choices=["cuda", "cuda12", "cpu"],
        default="cuda",
        help="build of torch: CUDA 13, CUDA 12 for drivers 525 to 579, or CPU",
    )
    verb.add_argument("--torch-index", metavar="URL",
                      help="where the CPU build is, when pip.conf names no place")  # fmt: skip
    verb.add_argument("--base", metavar="IMAGE", help="another base image")
    verb.add_argument("--python", metavar="3.11", help="the Python of that base")
    verb.add_argument("--network", metavar="NAME", help="network of the build, such as host")
    verb.add_argument(
        "--source", type=user_path, metavar="DIR", help="the checkout (default: this one)"
    )


def _add_run(verb: argparse.ArgumentParser) -> None:
    _add_image(verb)
    verb.add_argument("--data", type=user_path, metavar="DIR",
                      help="at /data, read-only, and handed on to the verb")  # fmt: skip
    verb.add_argument("--weights", type=user_path, metavar="DIR",
                      help="at /weights, read-only (default: the usual place)")  # fmt: skip
    verb.add_argument("--recipe", metavar="FILE.toml",
                      help="handed on; a file is mounted with everything it names")  # fmt: skip
    verb.add_argument(
        "--run", type=user_path, metavar="DIR", help="where the results go; handed on"
    )
    verb.add_argument("--runs", type=user_path, default=Path("runs"), metavar="DIR",
                      help="at /runs, without --run (default: %(default)s)")  # fmt: skip
    verb.add_argument("--lock", type=user_path, metavar="FILE",
                      help="weights.lock for the image (default: this one's)")  # fmt: skip
    verb.add_argument("--gpus", default="auto", metavar="GPUS",
                      help="all, none, 2 or device=0,1; auto: all with a driver")  # fmt: skip
    verb.add_argument("--memory", type=float, metavar="GB",
                      help="its limit (default: the machine's but 2 GB)")  # fmt: skip
    verb.add_argument("--tmp", default=TEMPORARY, metavar="SIZE",
                      help="size of /tmp, in memory (default: %(default)s)")  # fmt: skip
    verb.add_argument("--user", metavar="UID:GID", help="who owns the results (default: you)")
    verb.add_argument("--entrypoint", metavar="PROGRAM", help="another program of the image")
    verb.add_argument("words", nargs=argparse.REMAINDER, metavar="VERB ...",
                      help="what to do inside, with its own options")  # fmt: skip


def _add_image(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--image", default=IMAGE, metavar="NAME",
                      help="its name (default: %(default)s)")  # fmt: skip


# Docker's client is imported where it is used: no other verb shall wait for it.
def _build(arguments: Arguments, reporter: Reporter) -> None:
    from submission.container.engine import connect
    from submission.container.image import CHECKOUT, ImageBuild, build

    what = ImageBuild(
        arguments.source or CHECKOUT, arguments.image, arguments.torch,
        torch_index=arguments.torch_index, base=arguments.base, python=arguments.python,
        network=arguments.network,
    )  # fmt: skip
    identity = build(connect(), what, reporter.say)
    print(f"image    {what.image} ({identity.removeprefix('sha256:')[:12]})")


def _run(arguments: Arguments, reporter: Reporter) -> None:
    from submission.container.engine import connect
    from submission.container.run import docker_command, print_output, run, settled

    what = _what(arguments)
    what.refuse_faults()
    client = connect()
    what = settled(client, what)
    if what.gpus == "none":
        reporter.say("No GPU in the container: the CPU is used (--gpus all asks for GPUs).")
    reporter.say(f"$ {shlex.join(docker_command(what))}")
    status = run(client, what, print_output)
    if status == KILLED:
        raise InputError(
            "The container was killed: most often memory was too small; --memory GB sets its "
            "limit, and --tmp SIZE that of /tmp."
        )
    if status:
        kind = FaultyResult if status == FaultyResult.exit_status else InputError
        raise kind(f"The container ended with exit status {status}; the reason stands above.")


def _what(arguments: Arguments) -> "ContainerRun":
    """The run that a call means: what it names is mounted, and handed on by its place inside."""
    from submission.container.named import named_by
    from submission.container.run import ContainerRun, driver_answers

    words = arguments.words[1:] if arguments.words[:1] == ["--"] else list(arguments.words)
    runs: Path = arguments.runs
    named: tuple[Path, ...] = ()
    if arguments.run:
        runs = arguments.run.absolute().parent
        words += ["--run", f"/runs/{arguments.run.name}"]
    if arguments.data:
        words += ["--data", "/data"]
    if arguments.recipe:
        recipe = expand(arguments.recipe)
        inside = recipe.parts[:2] in {("/", "runs"), ("/", "data"), ("/", "weights")}
        if recipe.is_file() or (recipe.suffix == ".toml" and not inside):
            named = named_by(recipe)
        words += ["--recipe", str(named[0]) if named else arguments.recipe]
    automatic = "all" if driver_answers() else "none"
    weights = arguments.weights or weights_folder()
    lock = arguments.lock or default_lock()
    known = Weights(read_lock(lock), weights)
    return ContainerRun(
        arguments.image, tuple(words), runs, data=arguments.data,
        weights=weights if arguments.weights or weights.is_dir() else None,
        hub=hub_cache() if any(map(known.is_cached, known.lock.checkpoints)) else None,
        lock=lock, named=named,
        gpus=automatic if arguments.gpus == "auto" else arguments.gpus, user=arguments.user,
        threads=os.environ.get("OMP_NUM_THREADS"),
        memory=int(arguments.memory * 1e9) if arguments.memory else None, temporary=arguments.tmp,
        entrypoint=arguments.entrypoint,
    )  # fmt: skip


BUILD = Verb("build", "build the image from a checkout", "--torch cpu", _add_build, _build)
RUN = Verb(
    "run", "run a verb in the image, hardened and without network",
    "--data /data/mevis --recipe my.toml submit --split valid", _add_run, _run,
)  # fmt: skip
VERB = Group(
    "container", "build the image, or run a verb in it (docs/container.md)", (BUILD, RUN),
    place=110,
)  # fmt: skip
