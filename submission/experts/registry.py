"""From the members of a recipe to experts that can be asked."""

from collections.abc import Sequence

from submission.experts.expert import Expert
from submission.experts.mask_files import MaskFiles
from submission.experts.model_cache import ModelShelf
from submission.experts.sa2va import Sa2VAExpert
from submission.progress import Reporter
from submission.recipe import MasksMember, Recipe
from submission.weights.checkpoints import CheckpointFinder
from submission.weights.folders import Weights


def make_experts(
    recipe: Recipe, reporter: Reporter, weights: Weights | None = None, *, hash_all: bool = False
) -> list[Expert]:
    """Make the recipe's experts; those that share a checkpoint share the loaded model.

    A checkpoint that weights.lock names is compared with it first; `hash_all` reads every byte
    for that, also where the hash of a file in its present state is remembered.
    """
    shelf = ModelShelf(recipe.compute, reporter)
    finder = CheckpointFinder(recipe.folder, weights or Weights(), hash_all, reporter)
    experts: list[Expert] = []
    for member in recipe.experts:
        if isinstance(member, MasksMember):
            experts.append(MaskFiles(member.name, member.masks))
            continue
        if member.approximation:
            reporter.warn(f"expert {member.name} is an approximation: {member.approximation}")
        checkpoint = finder.find(member.checkpoint)
        sam2 = finder.find_sam2(member.sam2) if member.sam2 else None
        experts.append(Sa2VAExpert(member, checkpoint, sam2, shelf))
    return experts


def attention_kernels(experts: Sequence[Expert]) -> dict[str, str]:
    """The kernel that memory attention ran on, of every expert that used a model."""
    return {
        expert.name: expert.shelf.attention
        for expert in experts
        if isinstance(expert, Sa2VAExpert) and expert.shelf.attention
    }
