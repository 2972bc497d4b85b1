"""What an InternVL's config.json states of its language model, or whose file it is; no torch."""

from collections.abc import Iterable, Mapping
from typing import Any

from submission.files.strict_json import kind_of

SAM3 = "with SAM 3 in place of SAM 2"


def language_config(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return llm_config, the language model under InternVL.

    Raises ValueError naming the family where config.json is of one that is not built, and KeyError
    where it is not known either.
    """
    if (family := other_family(values)) is not None:
        raise ValueError(not_read(family))
    llm = values["llm_config"]
    if not isinstance(llm, dict):
        raise ValueError(f"llm_config is {kind_of(llm)}; it must be an object")
    return llm


def architecture_of(llm: Mapping[str, Any], known: Iterable[str]) -> str:
    """Return the class of the language model that llm_config names; raise ValueError for others."""
    stated = llm.get("architectures")
    name = stated[0] if isinstance(stated, list) and stated else None
    if name not in (names := list(known)):
        raise ValueError(f"llm_config.architectures is {stated!r}; known: {', '.join(names)}")
    return str(name)


def template_of(values: Mapping[str, Any], known: Iterable[str], named: str = "") -> str:
    """Return the chat template: the one that is `named`, else that of config.json.

    Raises ValueError for one that is not known, and where nobody states one.
    """
    stated = named or values.get("template")
    names = ", ".join(known)
    if stated is None:
        raise ValueError(
            "it names no template, without which no prompt can be made; name the one that the "
            f"checkpoint was trained with in the recipe: template = one of {names}"
        )
    template = stated.replace("-", "_") if isinstance(stated, str) else stated
    if template not in names.split(", "):
        raise ValueError(f"template is {stated!r}; known: {names}")
    return str(template)


def not_read(family: str) -> str:
    """Say of a family in words that it is not read."""
    return f"this is a Sa2VA {family}, which this kit does not read: take one of weights.lock"


def names_sam3(values: Mapping[str, Any]) -> bool:
    """Whether a key or name of config.json speaks of SAM 3."""
    names = [_word(values, "model_type"), *_words(values.get("architectures"))]
    return any("sam3" in word.lower() for word in (*values, *names))


def other_family(values: Mapping[str, Any]) -> str | None:
    """In words, the family of a config.json that InternVL's reader does not know, if it says so."""
    names = [_word(values, "model_type"), *_words(values.get("architectures"))]
    inner = [_word(values.get(key), "model_type") for key in ("text_config", "vision_config")]
    stated = [name.lower() for name in (*names, *inner)]
    if names_sam3(values):
        return SAM3
    if "llm_config" in values:
        return None
    if any("llava" in name or name == "clip_vision_model" for name in stated):
        return "on LLaVA"
    if any(name.startswith("qwen") for name in stated):
        return "on a Qwen-VL that is neither Qwen2.5-VL nor Qwen3-VL"
    return None


def _words(values: Any) -> list[str]:
    return [word for word in values if isinstance(word, str)] if isinstance(values, list) else []


def _word(values: Any, key: str) -> str:
    word = values.get(key) if isinstance(values, dict) else None
    return word if isinstance(word, str) else ""
