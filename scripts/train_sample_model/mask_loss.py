"""How wrong decoded masks are: shape, choice among candidates, and presence of the object."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from submission.models.sam2.network import NO_OBJECT_LOGIT, DecodedMasks

SIDE = 64  # pixels at which masks are compared
PRESENT = 1.5  # pixels at that size: an object with fewer counts as absent
BCE, ALL_CANDIDATES, PRESENCE = 10.0, 0.3, 0.2  # weights; dice and predicted IoU weigh 1


@dataclass(frozen=True)
class MaskLoss:
    """A loss and two numbers to watch."""

    total: Tensor
    iou: Tensor  # mean over pictures that show the object, of the candidate that would be taken
    visible: Tensor  # share of pictures where the object score is right


def mask_loss(decoded: Sequence[DecodedMasks], truth: Tensor) -> MaskLoss:
    """Compare M pictures of B clips with true masks (B, M, S, S)."""
    candidates, ious, score = (
        torch.cat([getattr(one, name) for one in decoded])
        for name in ("candidates", "ious", "object_score")
    )
    true = F.adaptive_avg_pool2d(torch.cat(list(truth.unbind(1)))[:, None], SIDE)
    present = (true.flatten(1).sum(dim=1) > PRESENT).float()
    # Sa2VA-i blanks masks by the object score: no shape can be learned there, only the score.
    alive = (candidates.flatten(1).amax(dim=1) > NO_OBJECT_LOGIT).float()
    logits = F.interpolate(candidates, (SIDE, SIDE), mode="bilinear", align_corners=False)
    shape = _shape_loss(logits, true.expand_as(logits), present)  # (M*B, candidates)
    found = _ious(logits > 0, true > 0.5)
    total = _mean(shape.amin(dim=1) + ALL_CANDIDATES * shape.mean(dim=1), alive)
    total = total + _mean(((ious - found) ** 2).mean(dim=1), alive)
    total = total + PRESENCE * F.binary_cross_entropy_with_logits(score[:, 0], present)
    taken = found[torch.arange(len(found)), ious.argmax(dim=1)]
    right = ((score[:, 0] > 0) == (present > 0)).float()
    return MaskLoss(total, _mean(taken, present), right.mean())


def _shape_loss(logits: Tensor, true: Tensor, present: Tensor) -> Tensor:
    bce = F.binary_cross_entropy_with_logits(logits, true, reduction="none").mean(dim=(2, 3))
    said = logits.sigmoid()
    shared = (said * true).sum(dim=(2, 3))
    dice = 1 - (2 * shared + 1) / ((said**2).sum(dim=(2, 3)) + (true**2).sum(dim=(2, 3)) + 1)
    return BCE * bce + dice * present[:, None]


@torch.no_grad()
def _ious(said: Tensor, true: Tensor) -> Tensor:
    shared = (said & true).sum(dim=(2, 3)).float()
    union = (said | true).sum(dim=(2, 3)).float()
    return torch.where(union > 0, shared / union.clamp(min=1), 1.0)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=1)
