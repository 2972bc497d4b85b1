"""What the way over Ray costs for each video: the same work in this process and by one worker.

    python -m scripts.benchmark.ray_overhead [--rounds 7] [--checkpoint]

The clips of the sample, answered in turn both ways; the worker is up before the clock starts. By
default the expert is the one to copy, which does nearly nothing, so that what is left is the way:
order, decoding that begins only then, answers back, and the driver's bookkeeping. `--checkpoint`
takes the small model. Medians over the rounds.
"""

import argparse
import pickle
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

from submission.dataset.frames import open_frames
from submission.dataset.mevis import read_split
from submission.masks.store import PredictionStore
from submission.pipeline.claim import claim_all
from submission.pipeline.predict import predict
from submission.pipeline.predict_together import predict_together
from submission.pipeline.prepare import Prepared, prepare
from submission.pipeline.team import open_team
from submission.pipeline.wire import Order, words_for
from submission.pipeline.worker import make_worker
from submission.recipes.find import read_recipe
from submission.recipes.parse import parse_recipe
from submission.recipes.recipe import Recipe
from submission.terminal.progress import Reporter
from submission.weights.folders import Weights


def make_recipe(*, checkpoint: bool) -> Recipe:
    """The sample with one expert, for one worker on this CPU."""
    sample = read_recipe("sample")
    table = {"name": "bright", "kind": "example", "threshold": 128}
    experts = parse_recipe({"expert": [table]}, Path("overhead.toml")).experts
    if checkpoint:
        experts = tuple(one for one in sample.experts if one.name == "uniform5")
    return replace(
        sample, experts=experts, compute=replace(sample.compute, device="cpu", workers=1)
    )


def seconds_of(work: Callable[[Prepared, PredictionStore], object], make: Callable[
    [PredictionStore], Prepared]) -> float:  # fmt: skip
    """Seconds of one round into an empty store."""
    with tempfile.TemporaryDirectory() as folder:
        store = PredictionStore(Path(folder))
        prepared = make(store)
        claim_all(prepared, store, Reporter("quiet"))
        started = time.perf_counter()
        work(prepared, store)
        return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--checkpoint", action="store_true")
    arguments = parser.parse_args()
    recipe = make_recipe(checkpoint=arguments.checkpoint)
    quiet, weights = Reporter("quiet"), Weights()
    assert recipe.root is not None
    assert recipe.split is not None
    split = read_split(recipe.root, recipe.split, recipe.meta)
    source = open_frames(split)
    started = time.perf_counter()
    with open_team(recipe, split, weights, quiet, hash_all=False) as team:
        up = time.perf_counter() - started
        kept: list[Prepared] = []  # its models stay loaded, as the worker's do

        def alone(store: PredictionStore) -> Prepared:
            new = prepare(recipe, split, store, weights, quiet)
            kept[:] = kept or [new]
            return replace(kept[0], todo=new.todo, done=new.done)

        def together(store: PredictionStore) -> Prepared:
            return prepare(recipe, split, store, weights, quiet, site=team.site)

        here, there = [], []
        for _ in range(arguments.rounds + 1):
            here.append(seconds_of(lambda p, s: predict(p, source, s, quiet), alone))
            there.append(seconds_of(lambda p, s: predict_together(p, team, s, quiet), together))
    worker = make_worker(words_for(recipe, split, weights, "cpu", hash_all=False))
    videos = len(split.videos)
    plain, ray = (median(each[1:]) / videos * 1e3 for each in (here, there))
    order = Order(split.videos[0].name, tuple(one.name for one in recipe.experts), {})
    size = sum(len(pickle.dumps(done)) for done in worker.work(order))
    print(f"Ray and one worker are up after {up:.1f} s")
    print(f"a video: {plain:.1f} ms in this process, {ray:.1f} ms by the worker: "
          f"{ray - plain:+.1f} ms")  # fmt: skip
    masks = split.videos[0].num_masks
    print(f"answers of the first video: {size / 1e3:.1f} kB for {masks} masks")


if __name__ == "__main__":
    main()
