"""What is asked to hear "yes" or "no": the words of every such question; no torch.

Sa2VA is asked the first with `ask = true`. A judge of the gate is asked the first, and with
`audit = true` all others: each looks at one part of a sentence alone, because a sentence that
refers to nothing often names an object that is there and is wrong in one of its parts only.
"""

from collections.abc import Callable, Mapping

ANSWER = "Answer yes or no."
IN_ORDER = "These are frames of one video, in order of time."

# What a judge is asked of a sentence; `{}` is the sentence, in quotes.
AUDIT: Mapping[str, str] = {
    "category": "Does this video show an object of the kind that {} names, whatever it does?",
    "count": "Are there as many such objects in this video as {} speaks of?",
    "action": "Does an object in this video really do what {} says that it does?",
    "trajectory": (
        "Does an object in this video move along the way and in the direction that {} says, or "
        "stay where it says so?"
    ),
    "order": "Do things happen in this video in the order in which {} tells them?",
    "role": (
        "Are those who act in this video and those to whom something is done the same as in {}, "
        "and not the other way round?"
    ),
}


def existence_question(sentence: str) -> str:
    """Return what asks whether there is what a sentence means, behind the images of a video."""
    if "?" in sentence:
        return f"\n{sentence} Does this video show an object that answers this? {ANSWER}"
    return f"\nDoes this video show {sentence}? {ANSWER}"


def judges_question(sentence: str) -> str:
    """Return the same for a judge, who was not trained on videos shown in this way."""
    return f"\n{IN_ORDER}{existence_question(sentence)}"


def audit_questions() -> dict[str, Callable[[str], str]]:
    """Return by name what turns a sentence into the question about one of its parts."""
    return {name: _about(words) for name, words in AUDIT.items()}


def _about(words: str) -> Callable[[str], str]:
    return lambda sentence: f"\n{IN_ORDER}\n{words.format(chr(34) + sentence + chr(34))} {ANSWER}"
