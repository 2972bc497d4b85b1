"""What the guides tell of sighted shapes: where they were before, and what is true of them."""

import torch
import torch.nn.functional as F
from torch import Tensor

from scripts.sample_data.scene import COLOURS
from scripts.train_sample_model.batches import Batch, Sightings
from scripts.train_sample_model.questions import MEANINGS, verdicts

BACK = 4  # pictures that a displacement looks back


def displacements(seen: Sightings, clips: int, pictures: int) -> Tensor:
    """How far each sighting is from the same shape up to `BACK` pictures before.

    Float (n, BACK, 3): x and y in tokens, and radius; nan where it was not seen then.
    """
    table = torch.full((clips, len(COLOURS), pictures, 3), float("nan"))
    table[seen.clip, seen.colour, seen.picture] = seen.place
    before = seen.picture[:, None] - 1 - torch.arange(BACK)
    past = table[seen.clip[:, None], seen.colour[:, None], before.clamp(min=0)]
    past[before < 0] = float("nan")
    return seen.place[:, None] - past


def facts_of(batch: Batch, seen: Sightings) -> Tensor:
    """What is true of each sighted shape, float (n, meanings), nan where it is unclear."""
    known = [verdicts(scene) for scene in batch.scenes]
    return torch.stack([known[b][i] for b, i in zip(seen.clip, seen.shape, strict=True)])


def bce_where_known(logits: Tensor, facts: Tensor) -> Tensor:
    """Lower where a statement is judged rightly; silent where the scene does not decide it."""
    known = ~facts.isnan()
    bce = F.binary_cross_entropy_with_logits(logits[known], facts[known])
    return len(MEANINGS) / 4 * bce  # about as heavy as a choice among all meanings
