"""Before a vote: every answer that it needs is there, by the right judge; or all faults at once."""

from collections import Counter
from collections.abc import Sequence

from submission.counted import counted
from submission.dataset.records import Expression, Split, Video
from submission.errors import Fault, FaultyInput, InputError
from submission.gate.judge import EXISTENCE
from submission.masks.store import PredictionStore
from submission.recipes.recipe import Recipe


def refuse_missing(recipe: Recipe, split: Split, store: PredictionStore) -> None:
    """Raise FaultyInput with every prediction that the vote needs and the store lacks."""
    unanswered = {expert.name: store.unanswered(expert.name, split) for expert in recipe.experts}
    if recipe.missing == "error":
        said = {judge.name: store.unanswered(judge.name, split) for judge in recipe.judges}
        faults = [
            fault
            for name, sentences in (unanswered | said).items()
            for fault in _missing(name, sentences, split)
        ]
        advice = 'Run predict first, or leave members out there: [vote] missing = "skip".'
    else:
        votes = Counter(
            (video.name, expression.id)
            for sentences in unanswered.values()
            for video, expression in sentences
        )
        faults = [
            Fault(f"video {video}, expression {expression}", "no member has a prediction")
            for (video, expression), absent in votes.items()
            if absent == len(recipe.experts)
        ]
        advice = "Run predict first: at least one member has to answer each sentence."
    if faults:
        raise FaultyInput("Predictions are missing for the vote:", faults, advice)


def _missing(name: str, sentences: Sequence[tuple[Video, Expression]], split: Split) -> list[Fault]:
    """A fault for each sentence that an expert has not answered; one where it answered none."""
    if len(sentences) == split.num_sentences:
        return [Fault(f"expert {name}", f"no prediction of {counted(len(sentences), 'sentence')}")]
    return [
        Fault(f"expert {name}, video {video.name}, expression {expression.id}", "no prediction")
        for video, expression in sentences
    ]


def refuse_other_judge(recipe: Recipe, store: PredictionStore) -> None:
    """Raise InputError where another judge has answered than the gate was calibrated with."""
    expected = recipe.gate.judge if recipe.gate else None
    record = store.identity(EXISTENCE) if expected and recipe.judge else None
    if expected and recipe.judge and record:
        words = expected.refusal(recipe.judge.checkpoint, record["files"])
        if words:
            raise InputError(f"[gate] judge: {words}")
