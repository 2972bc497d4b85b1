"""Time the public code itself, from a checkout of bytedance/Sa2VA, in turn with ours.

Called by `python -m scripts.benchmark --public DIR --public-python PYTHON`. The public class runs
in a process of that interpreter (public_worker.py), both models stand on the device at once, and
they take turns on the same frames and sentences. It answers one sentence at a time, so its seconds
are those of a sentence times the sentences. Weights are random on both sides, and not the same.
"""

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from scripts.benchmark import public_worker
from scripts.benchmark.bench import ModelBench
from scripts.benchmark.cases import Case
from scripts.benchmark.clips import Frames
from scripts.benchmark.measure import make_load, run_once
from scripts.benchmark.procedures import ours
from scripts.benchmark.sizes import config_values
from scripts.benchmark.tables import describe_model, markdown
from submission.errors import InputError

SHOWN = 5  # frames that the public code shows to its language model: always the first five
HEADER = [
    "model, size of frames", "M", "E", "T", "public code, s a sentence", "times E", "ours, s",
    "factor",
]  # fmt: skip


def compare(
    cases: Sequence[Case], bench: ModelBench, checkout: Path, python: str,
    say: Callable[[str], None],
) -> str:  # fmt: skip
    """Return a table of all cases. Raises InputError for what the public code cannot be asked."""
    _refuse(cases, checkout)
    lines = []
    for case in cases:
        say(f"{case}: ours and the public code in turn")
        load = make_load(case)
        model = bench.model_of(case.size)
        request = {
            "checkout": str(checkout.resolve()), "config": public_config(case.size),
            "device": str(bench.device),
        }  # fmt: skip
        theirs, mine = [], []
        with public_process(python, request, load.frames) as ask:
            ask(load.sentences[0])  # both warm up
            ours(model, load)
            for turn in range(bench.method.repeats):
                theirs.append(ask(load.sentences[turn % len(load.sentences)]))
                mine.append(run_once(model, load, ours).seconds)
        one, all_of_ours = min(theirs), min(mine)
        everything = one * case.sentences
        lines.append(
            [describe_model(case.values()), str(case.key_frames), str(case.sentences),
             str(case.frames), f"{one:.2f}", f"{everything:.1f}", f"{all_of_ours:.2f}",
             f"{everything / all_of_ours:.1f}"]
        )  # fmt: skip
    return markdown(HEADER, lines)


def _refuse(cases: Sequence[Case], checkout: Path) -> None:
    folder = checkout / public_worker.MODELS
    if not (folder / "modeling_sa2va_chat.py").is_file():
        raise InputError(
            f"{folder}: no modeling_sa2va_chat.py there; --public takes a checkout: "
            "git clone https://github.com/bytedance/Sa2VA"
        )
    for case in cases:
        if case.key_frames != SHOWN or case.procedure != "sa2va":
            raise InputError(
                f"{case}: the public code shows its first {SHOWN} frames and knows one procedure; "
                f"take --key-frames {SHOWN} --procedure sa2va"
            )


def public_config(size: str) -> dict[str, Any]:
    """config.json of a size, with what the public class reads beside it."""
    values = json.loads(json.dumps(config_values(size)))
    values.setdefault("architectures", ["Sa2VAChatModel"])
    values["vision_config"].setdefault("architectures", ["InternVisionModel"])
    values["vision_config"].setdefault("model_type", "intern_vit_6b")
    return dict(values)


@contextmanager
def public_process(
    python: str, request: dict[str, Any], frames: Frames
) -> Iterator[Callable[[str], float]]:
    """Start the public class; gives what returns the seconds of a sentence.

    Raises InputError, with where its own words stand, when it ends before its time.
    """
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/frames.npy", frames)
        try:
            process = subprocess.Popen(
                [python, public_worker.__file__], text=True, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )  # fmt: skip
        except OSError as error:
            raise InputError(f"--public-python {python}: {error.strerror}") from None
        with process:
            try:
                _exchange(process, request | {"frames": f"{folder}/frames.npy"})
                yield lambda sentence: float(_exchange(process, sentence)["seconds"])
            finally:
                process.kill()


def _exchange(process: subprocess.Popen[str], message: Any) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it has ended: seen below
    if not (line := process.stdout.readline()):
        raise InputError(
            f"the public code ended with status {process.wait()}; what it said stands above. "
            "docs/performance.md says which versions its environment needs"
        )
    return dict(json.loads(line))
