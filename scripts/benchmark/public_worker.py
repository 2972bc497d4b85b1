"""Run the public class of Sa2VA in an environment of its own; started by public_code.py.

Imports nothing of this kit: the interpreter is the user's, with the versions that the public code
wants. The first line on standard input is a JSON request, each later one a sentence; each answer is
a JSON line on standard output, with the seconds of one call of `predict_forward`.
"""

import importlib
import json
import os
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "public_sa2va"
MODELS = Path("projects") / "sa2va" / "hf" / "models"  # inside the checkout
ANSWER = ("Sure", ",", "[SEG]", ".", "<|im_end|>")  # forced: random weights never ask for a mask
SPECIAL = (
    "<unk>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<img>", "</img>",
    "<IMG_CONTEXT>", "<p>", "</p>", "<vp>", "</vp>", "[SEG]",
)  # fmt: skip


def main() -> None:
    """Build the model, then time sentences until standard input ends."""
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    request = json.loads(sys.stdin.readline())
    ask, versions = build(request)
    print(json.dumps({"ready": versions}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps({"seconds": ask(json.loads(line))}), file=answers, flush=True)


def build(request: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    """Return what times a sentence over the video of a request, and the libraries' versions."""
    import numpy as np
    import torch
    import transformers
    from PIL import Image

    model = random_model(request["checkout"], request["config"], request["device"], torch)
    tokenizer = word_tokenizer(transformers)
    forced = force(model, tokenizer, torch, transformers)
    video = [Image.fromarray(frame) for frame in np.load(request["frames"])]

    def ask(sentence: str) -> float:
        forced.spoken = 0
        _wait(torch, request["device"])
        started = time.perf_counter()
        with torch.no_grad():
            model.predict_forward(
                video=video, text=f"<image>\nPlease segment {sentence}.", tokenizer=tokenizer
            )
        _wait(torch, request["device"])
        return time.perf_counter() - started

    return ask, {"torch": torch.__version__, "transformers": transformers.__version__}


def random_model(checkout: str, config: dict[str, Any], device: str, torch: Any) -> Any:
    """The public class with random weights, in bfloat16 on a GPU and float32 elsewhere."""
    package = ModuleType(PACKAGE)
    package.__path__ = [str(Path(checkout) / MODELS)]
    sys.modules[PACKAGE] = package
    settings = importlib.import_module(f"{PACKAGE}.configuration_sa2va_chat")
    network = importlib.import_module(f"{PACKAGE}.modeling_sa2va_chat")
    before, dtype = torch.get_default_dtype(), torch.float32
    if device.startswith("cuda"):
        dtype = torch.bfloat16
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = network.Sa2VAChatModel(settings.Sa2VAChatConfig(**config), use_flash_attn=False)
    finally:
        torch.set_default_dtype(before)
    model = model.to(device).to(dtype).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, weight[0].numel() ** -0.5)
    return model


def word_tokenizer(transformers: Any) -> Any:
    """One token a word, with the special tokens that the public code looks up."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = dict.fromkeys((*SPECIAL, *ANSWER))
    known = {word: number for number, word in enumerate(words)}
    backend = Tokenizer(models.WordLevel(known, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", eos_token="<|im_end|>",
        pad_token="<|endoftext|>", additional_special_tokens=list(SPECIAL[2:]),
    )  # fmt: skip


def force(model: Any, tokenizer: Any, torch: Any, transformers: Any) -> Any:
    """Let `generate` say ANSWER, whatever the weights would; `spoken` counts its tokens."""
    ids = tokenizer.convert_tokens_to_ids(list(ANSWER))

    class Forced(transformers.LogitsProcessor):  # type: ignore[misc]
        spoken = 0

        def __call__(self, input_ids: Any, scores: Any) -> Any:
            only = torch.full_like(scores, float("-inf"))
            only[:, ids[min(self.spoken, len(ids) - 1)]] = 0
            self.spoken += 1
            return only

    forced, generate = Forced(), model.language_model.generate
    model.language_model.generate = lambda **named: generate(
        logits_processor=transformers.LogitsProcessorList([forced]), **named
    )
    return forced


def _wait(torch: Any, device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
