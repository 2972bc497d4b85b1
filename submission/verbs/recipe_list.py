"""List the packaged recipes with what they download and the GPU memory they need."""

from submission.experts.sharing import MODELS_SHARE
from submission.pipeline.forecast import memory_of_released
from submission.recipe import MasksMember, Recipe, Sa2VAMember, packaged_recipes, read_recipe
from submission.weights.expected import download
from submission.weights.listing import in_columns
from submission.weights.lock import Lock
from submission.weights.sizes import in_words

HEADINGS = ("recipe", "experts", "checkpoints", "download", "GPU memory")


def recipe_lines(lock: Lock) -> list[str]:
    """Return `recipes` in lines.

    Downloads are sums over the checkpoints of a recipe. Memory is that of its largest expert
    alone: models of others stay loaded beside it only where there is room (sharing.py).
    """
    recipes = {name: read_recipe(name) for name in packaged_recipes()}
    rows = [HEADINGS, *(_row(name, recipe, lock) for name, recipe in recipes.items())]
    return [
        *in_columns(rows),
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
    members = [expert for expert in recipe.experts if isinstance(expert, Sa2VAMember)]
    given = sum(isinstance(expert, MasksMember) for expert in recipe.experts)
    named = dict.fromkeys(
        item
        for member in members
        for item in (member.checkpoint, member.sam2)
        if item and not (recipe.folder / item).exists()
    )
    return (
        name,
        f"{len(recipe.experts)}" + (f" ({given} given masks)" if given else ""),
        ", ".join(named) or "comes along",
        _download(list(named), lock),
        _memory(recipe, [member for member in members if member.checkpoint in named]),
    )


def _download(names: list[str], lock: Lock) -> str:
    sizes = [download(item) if (item := lock.find(name)) else (None, False) for name in names]
    if not sizes:
        return "none"
    known = [size for size, _ in sizes if size is not None]
    if len(known) < len(sizes):
        return "unknown" if not known else f"more than {in_words(sum(known))}"
    return ("" if all(exact for _, exact in sizes) else "about ") + in_words(sum(known))


def _memory(recipe: Recipe, members: list[Sa2VAMember]) -> str:
    needs = [memory_of_released(member, recipe.compute) for member in members]
    known = [need for need in needs if need is not None]
    if not needs:
        return "small"
    return "about " + in_words(max(known)) if len(known) == len(needs) else "unknown"
