"""Time both procedures on one case, in turn, and compare their masks."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from scripts.benchmark.cases import Case
from scripts.benchmark.clips import read_clip, sentences, synthetic_clip
from scripts.benchmark.procedures import Load, agreement, ours, public
from scripts.benchmark.resources import Utilisation, peak_memory, utilisation
from scripts.benchmark.stages import REST, timed_organs
from submission.models.sa2va.answer import Answer
from submission.models.sa2va.model import Sa2VA
from submission.models.sa2va.settings import Settings

Procedure = Callable[[Sa2VA, Load], list[Answer]]
WARM_FRAMES = 8


@dataclass(frozen=True)
class Method:
    """How a case is timed."""

    repeats: int = 2  # of each procedure, in turn; the faster time counts
    public_sentences: int = 0  # how many the public loop is timed on; 0: all
    cpu_stages: bool = False  # seconds per organ by the process's time: others use the machine too


@dataclass(frozen=True)
class Run:
    """One run of a procedure."""

    seconds: float  # by the clock on the wall
    cpu_seconds: float  # of all threads of this process
    answers: list[Answer]
    use: Utilisation


def make_load(case: Case) -> Load:
    """The clip and the sentences of a case."""
    if case.clip:
        frames = read_clip(Path(case.clip), case.frames)
    else:
        frames = synthetic_clip(case.frames, case.height, case.width)
    return Load(frames, sentences(case.sentences), case.key_frames, case.procedure)


def measure(model: Sa2VA, case: Case, method: Method) -> dict[str, Any]:
    """Return the results of a case as JSON values: times, peaks, stages, agreement.

    The public loop does the same for every sentence; timed on some of them, its seconds are
    multiplied up to all, and the row says on how many they were taken.
    """
    load = make_load(case)
    asked = min(method.public_sentences or case.sentences, case.sentences)
    slow_load = load.part(asked)
    ours(model, load.part(1, WARM_FRAMES))
    public(model, load.part(1, WARM_FRAMES))
    # Peaks are those of the first run: it begins with an empty cache of GPU memory, which would
    # slow the later ones down too if it were emptied each time.
    with peak_memory(model.device) as slow_peak:
        slow = [run_once(model, slow_load, public)]
    with peak_memory(model.device) as fast_peak:
        fast = [run_once(model, load, ours)]
    for _ in range(method.repeats - 1):
        slow.append(run_once(model, slow_load, public))
        fast.append(run_once(model, load, ours))
    same = agreement(slow[-1].answers, fast[-1].answers[:asked])
    scale = case.sentences / asked
    rows = {
        "public": {
            **_times(slow, scale), "sentences_timed": asked, "peak": asdict(slow_peak),
            "utilisation": asdict(slow[-1].use),
        },
        "ours": {
            **_times(fast, 1.0), "peak": asdict(fast_peak), "utilisation": asdict(fast[-1].use),
        },
        "agreement": asdict(same),
        "tokens": _tokens(model, case),
    }  # fmt: skip
    rows["public"]["stages"] = _stages(model, load.part(1), public, case.sentences, method)
    rows["ours"]["stages"] = _stages(model, load, ours, 1, method)
    return rows


def _tokens(model: Sa2VA, case: Case) -> int:
    """Tokens of the prompt up to the last image."""
    settings = Settings(frames=case.key_frames)
    shown = min(case.key_frames, case.frames)
    prompt = model.backbone.prompt(shown, "", (case.height, case.width), settings)
    return prompt.shared


def run_once(model: Sa2VA, load: Load, procedure: Procedure) -> Run:
    """Run a procedure once, and wait for the device."""
    with utilisation(model.device) as use:
        wall, cpu = time.perf_counter(), time.process_time()
        answers = procedure(model, load)
        if model.device.type == "cuda":
            torch.cuda.synchronize(model.device)
        seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    return Run(seconds, cpu_seconds, answers, use)


def _times(runs: list[Run], scale: float) -> dict[str, float]:
    return {
        "seconds": scale * min(run.seconds for run in runs),
        "cpu_seconds": scale * min(run.cpu_seconds for run in runs),
    }


def _stages(
    model: Sa2VA, load: Load, procedure: Procedure, sentences: float, method: Method
) -> dict[str, float]:  # fmt: skip
    """Seconds per stage of one run, times the sentences that it stands for."""
    now = time.process_time if method.cpu_stages else time.perf_counter
    # A replay calls no module, so parts run as they are called.
    with model.parts.paused(), timed_organs(model, now) as seconds:
        run = run_once(model, load, procedure)
    whole = run.cpu_seconds if method.cpu_stages else run.seconds
    told = {**seconds, REST: whole - sum(seconds.values())}
    return {stage: value * sentences for stage, value in told.items()}
