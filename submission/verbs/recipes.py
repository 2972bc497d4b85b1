"""The words of `recipes`, and its list: what each one downloads, and the GPU memory it needs."""

from collections.abc import Sequence
from pathlib import Path

from submission.dataset.records import Expression, Video
from submission.errors import InputError
from submission.experts.expert import Expert, Tools
from submission.experts.registry import build_experts
from submission.experts.scheduling import MODELS_SHARE
from submission.masks.store import PredictionStore
from submission.recipes.find import packaged_recipes, read_recipe
from submission.recipes.recipe import Recipe
from submission.terminal.progress import Reporter
from submission.terminal.tables import Draw, drawing, in_columns
from submission.verbs.lock import add_lock, weights_of
from submission.verbs.verb import Arguments, Verb
from submission.weights.checkpoints import CheckpointFinder
from submission.weights.expected import download
from submission.weights.folders import Weights
from submission.weights.lock import Lock
from submission.weights.sizes import in_words

# The video that memory is estimated for.
FULL_HD = Video(
    "full HD", tuple(map(str, range(79))), (1080, 1920),
    tuple(Expression("full HD", str(number), "") for number in range(16)),
)  # fmt: skip
LEAST = ("checkpoints", "experts")  # for a narrow terminal, the first to be left out in front
HEADINGS = ("recipe", "experts", "checkpoints", "download", "GPU memory")


def recipe_lines(lock: Lock, draw: Draw = in_columns) -> list[str]:
    """Return `recipes` in lines.

    Downloads are sums over the checkpoints of a recipe. Memory is that of its largest expert
    alone: models of others stay loaded beside it only where there is room (sharing.py).
    """
    recipes = {name: read_recipe(name) for name in packaged_recipes()}
    rows = [HEADINGS, *(_row(name, recipe, lock) for name, recipe in recipes.items())]
    return [
        *draw(rows),
        "",
        "Downloads are sums over checkpoints; `about` where weights.lock does not pin all sizes.",
        "GPU memory is estimated, not measured: a 1080p video with 16 sentences, in bfloat16, with",
        "the recipe's limits and image features in host memory (a GPU keeps up to a twentieth of",
        "its memory of them); where less is free, smaller limits are chosen (docs/cost.md). It is",
        "that of the largest expert: models with equal image encoders stand side by side where",
        f"together they take at most {MODELS_SHARE:.0%} of the GPU, and one at a time elsewhere.",
        "Run one: mevis-submission submit --recipe NAME --data DIR --split NAME. A recipe before a",
        "slash (table2) runs all of its kind, one after another.",
    ]


def _row(name: str, recipe: Recipe, lock: Lock) -> tuple[str, ...]:
    experts = _build(recipe, lock)
    given = sum(not expert.checkpoints() for expert in experts)
    named = dict.fromkeys(
        item
        for expert in experts
        for item in expert.checkpoints()
        if not (recipe.folder / item).exists()
    )
    fetched = [expert for expert in experts if set(expert.checkpoints()) & named.keys()]
    return (
        name,
        f"{len(experts)}" + (f" ({given} given masks)" if given else ""),
        ", ".join(named) or "comes along",
        _download(list(named), lock),
        _memory(recipe, fetched),
    )


def _build(recipe: Recipe, lock: Lock) -> list[Expert]:
    """The recipe's experts, to be asked and not to be run."""
    reporter = Reporter("quiet")
    finder = CheckpointFinder(recipe.folder, Weights(lock), False, reporter)
    store = PredictionStore(Path())
    return build_experts(
        Tools(recipe.folder, recipe.compute, finder, store, reporter, recipe.entries)
    )


def _download(names: list[str], lock: Lock) -> str:
    sizes = [download(item) if (item := lock.find(name)) else (None, False) for name in names]
    if not sizes:
        return "none"
    known = [size for size, _ in sizes if size is not None]
    if len(known) < len(sizes):
        return "unknown" if not known else f"more than {in_words(sum(known))}"
    return ("" if all(exact for _, exact in sizes) else "about ") + in_words(sum(known))


def _memory(recipe: Recipe, experts: Sequence[Expert]) -> str:
    if not experts:
        return "small"
    limits = recipe.compute.limits_on("cuda")
    try:
        needs = [expert.memory(FULL_HD, limits, 0) for expert in experts]
    except InputError:
        return "unknown"
    known = [need for need in needs if need is not None]
    return "about " + in_words(max(known)) if len(known) == len(needs) else "unknown"


def _recipes(arguments: Arguments, reporter: Reporter) -> None:
    reporter.result("\n".join(recipe_lines(weights_of(arguments).lock, drawing(in_columns, LEAST))))


VERB = Verb(
    "recipes", "the packaged recipes, with download and memory", "--lock weights.lock", add_lock,
    _recipes, place=130,
)  # fmt: skip
