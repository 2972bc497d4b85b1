"""What speaks for and against a sentence having a target, from what the store keeps of it.

Numbers by name, 0..1 but for confidences and a judge's log-odds; a kind of evidence that nobody
gives is left out. The more, the likelier there is something, as a rule; a calibration finds out how
much it is worth.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from submission.masks.agreement import pairwise_iou
from submission.masks.label_runs import overlay
from submission.masks.track import Track

KINDS = {
    "p_yes": "probability that the experts' language models say yes to: is it there?",
    "judge": "log-odds that the gate's judge says yes to: is it there?",
    "judge_category": "of its audit: is there such a kind of object?",
    "judge_count": "of its audit: are there as many?",
    "judge_action": "of its audit: does it do that?",
    "judge_trajectory": "of its audit: does it move that way?",
    "judge_order": "of its audit: does it happen in that order?",
    "judge_role": "of its audit: who does it, and to whom?",
    "seg": "share of the experts whose answer names an object at all",
    "not_denied": "share of the experts whose answer does not say in words that there is nothing",
    "confidence": "mean confidence of the experts in their masks, over frames",
    "peak": "confidence of the experts in their surest frame",
    "persistence": "share of the frames in which the vote has a mask",
    "area": "share of the picture that the vote covers where it has a mask",
    "agreement": "IoU of the masks of two experts, over all frames together, mean of the pairs",
}

# What a language model says instead of naming an object.
_DENIAL = re.compile(
    r"\b(no|none|nothing|nobody|not|cannot|can't|isn't|aren't|doesn't|don't|absent|unable)\b", re.I
)


def gather(
    tracks: Sequence[Track], details: Sequence[Mapping[str, Any]], weights: Sequence[float],
    result: Track, odds: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, float]:  # fmt: skip
    """Return the evidence about one sentence.

    `tracks` and `details` are the answers of the experts that answered, `weights` what each
    counts in the vote, `result` the vote, `odds` what a judge said. Means over experts are weighted
    in the same way.
    """
    found = {
        "p_yes": _mean(_numbers(details, "p_yes"), weights),
        "seg": _mean(
            [None if n is None else float(n > 0) for n in _numbers(details, "num_seg")], weights
        ),
        "not_denied": _mean([_not_denied(one) for one in details], weights),
        "confidence": _mean([_over_frames(one, _average) for one in details], weights),
        "peak": _mean([_over_frames(one, max) for one in details], weights),
        **_of_masks(tracks, weights, result),
    }
    known = {name: round(value, 6) for name, value in found.items() if value is not None}
    return known | dict(odds)


def _of_masks(
    tracks: Sequence[Track], weights: Sequence[float], result: Track
) -> dict[str, float | None]:
    """Evidence in the masks, counted on run lengths."""
    vote = len(tracks)
    layers = [track.edges for track in (*tracks, result)]
    labels, areas = overlay(layers, result.size, len(result)).areas()
    voted = areas[:, (labels >> vote & 1).astype(bool)].sum(axis=1)
    marked = voted[voted > 0]
    # Frames where both are empty say nothing: all frames together are one picture.
    pairs = pairwise_iou(labels, areas.sum(axis=0, keepdims=True), range(vote))[:, 0]
    shares = [a * b for n, a in enumerate(weights) for b in weights[n + 1 :]]
    return {
        "persistence": len(marked) / len(result),
        "area": float(marked.mean()) / (result.size[0] * result.size[1]) if len(marked) else 0.0,
        "agreement": _mean([float(pair) for pair in pairs], shares),
    }


def _not_denied(details: Mapping[str, Any]) -> float | None:
    text = details.get("text")
    if not isinstance(text, str) or not text:
        return None
    return 0.0 if _DENIAL.search(text) else 1.0


def _over_frames(details: Mapping[str, Any], join: Any) -> float | None:
    frames = details.get("confidence")
    known = [value for value in frames if _is_number(value)] if isinstance(frames, list) else []
    return float(join(known)) if known else None


def _numbers(details: Iterable[Mapping[str, Any]], name: str) -> list[float | None]:
    values: list[Any] = [one.get(name) for one in details]
    return [float(value) if _is_number(value) else None for value in values]


def _mean(values: Sequence[float | None], weights: Sequence[float]) -> float | None:
    """The weighted mean of what is there; None where nothing is."""
    known = [(v, w) for v, w in zip(values, weights, strict=True) if v is not None]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if known else None


def _average(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
