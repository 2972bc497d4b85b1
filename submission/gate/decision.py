"""Whether a sentence is emptied: a logistic sum of at most four kinds of evidence, and a cutoff.

One kind with a threshold is the same with one summand.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from submission.gate.judge import EXISTENCE, Calibrated

MOST_KINDS = 4  # more than four summands fit the split and not the next one


@dataclass(frozen=True)
class Gate:
    """P(no target) = sigmoid(bias + sum of weight x (evidence - centre) / scale); above: emptied.

    Evidence that a sentence lacks counts as its centre, so for nothing.
    """

    evidence: tuple[str, ...]
    weights: tuple[float, ...]
    centres: tuple[float, ...]
    scales: tuple[float, ...]
    bias: float
    cutoff: float
    share: float | None = None  # of no-target sentences, that it was calibrated for
    experts: tuple[str, ...] = ()  # whose evidence it was calibrated on; empty: set by hand
    judge: Calibrated | None = None  # likewise, where it reads one and the file says which

    @staticmethod
    def below(evidence: str, threshold: float) -> "Gate":
        """Return the gate that empties sentences whose evidence lies below a threshold."""
        return Gate((evidence,), (-1.0,), (threshold,), (1.0,), 0.0, 0.5)

    @staticmethod
    def idle(evidence: str) -> "Gate":
        """Return the gate that looks at log-odds of a target and empties nothing."""
        return Gate((evidence,), (-1.0,), (0.0,), (1.0,), 0.0, 1.0)

    @property
    def is_idle(self) -> bool:
        """Whether it empties nothing, whatever the evidence."""
        return self.cutoff == 1

    @property
    def reads_judge(self) -> bool:
        """Whether a judge's answers are among its evidence."""
        return any(name.startswith(EXISTENCE) for name in self.evidence)

    def probability(self, evidence: Mapping[str, float]) -> float:
        """Return P(no target) of a sentence."""
        total = self.bias + sum(
            weight * (evidence[name] - centre) / scale
            for name, weight, centre, scale in zip(
                self.evidence, self.weights, self.centres, self.scales, strict=True
            )
            if name in evidence
        )
        return sigmoid(total)

    def decide(self, evidence: Mapping[str, float]) -> "Decision":
        """Return whether a sentence is emptied, and why."""
        probability = self.probability(evidence)
        return Decision(probability > self.cutoff, round(probability, 6), dict(evidence))

    def in_words(self) -> str:
        """Return the rule in one line."""
        if self.cutoff in (0, 1):
            return "empty nothing" if self.is_idle else "empty everything"
        if len(self.evidence) == 1:
            threshold, weight = self.threshold, self.weights[0]
            side = "below" if weight < 0 else "above"
            return f"empty where {self.evidence[0]} is {side} {threshold:.4g}"
        terms = [
            f"{weight:+.3g} x {name}"
            for name, weight in zip(self.evidence, self.weights, strict=True)
        ]
        return f"empty where P(no target) is above {self.cutoff:.4g}; in units of spread: " + (
            ", ".join(terms)
        )

    @property
    def threshold(self) -> float:
        """The value at which a gate on one kind of evidence turns; the cutoff lies inside 0..1."""
        logit = math.log(self.cutoff / (1 - self.cutoff))
        return self.centres[0] + self.scales[0] * (logit - self.bias) / self.weights[0]


@dataclass(frozen=True)
class Decision:
    """What the gate said of a sentence."""

    emptied: bool
    p_no_target: float
    evidence: Mapping[str, float]


def sigmoid(value: float) -> float:
    """Return 1 / (1 + exp(-value)), also far out."""
    if value >= 0:
        return 1 / (1 + math.exp(-value))
    power = math.exp(value)
    return power / (1 + power)
