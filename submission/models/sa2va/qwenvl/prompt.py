"""The prompt, by the chat template that lies in the checkpoint's own folder.

Strings in, strings out. Qwen2.5-VL's template opens with a system turn where none is given and
Qwen3-VL's with none, but exports differ: so it is read, never assumed.
"""

from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from submission.errors import InputError
from submission.files.ordinary import read_ordinary
from submission.files.strict_json import read_object
from submission.models.sa2va.tokenizer_files import MOST_BYTES

IMAGE_START, IMAGE, IMAGE_END = "<|vision_start|>", "<|image_pad|>", "<|vision_end|>"
USER = "<|im_start|>user"  # what stands before it is the system turn
PLACES = ("chat_template.jinja", "chat_template.json", "tokenizer_config.json")


def read_template(folder: Path) -> str:
    """Return the chat template of a checkpoint folder, from the first place that has one.

    Raises InputError when there is none.
    """
    if (folder / PLACES[0]).is_file():
        try:
            return read_ordinary(folder / PLACES[0], MOST_BYTES).decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{folder / PLACES[0]}: cannot be read as text: {error}") from None
    for name in PLACES[1:]:
        if (folder / name).is_file():
            stated = read_object(folder / name, most=MOST_BYTES).get("chat_template")
            if isinstance(stated, str):
                return stated
    raise InputError(
        f"{folder}: no chat template in {', '.join(PLACES)}; fetch all files of the checkpoint"
    )


def build_prompt(template: str, question: str, images: int, system_turn: str) -> str:
    """Return the whole prompt with one placeholder for each image.

    Raises InputError for a template that cannot be filled in, or that shows other images.
    """
    content: list[dict[str, Any]] = [{"type": "image"} for _ in range(images)]
    content.append({"type": "text", "text": question})
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    try:
        text = environment.from_string(template).render(
            messages=[{"role": "user", "content": content}], add_generation_prompt=True
        )
    except (TemplateError, TypeError) as error:
        raise InputError(f"the checkpoint's chat template cannot be filled in: {error}") from None
    before, user, rest = text.partition(USER)
    if not user or text.count(IMAGE) != images or IMAGE in before:
        raise InputError(
            f"the checkpoint's chat template makes no prompt with {images} images: {text[:200]!r}"
        )
    return text if system_turn == "as stored" else user + rest
