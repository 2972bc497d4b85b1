"""The public code against ours: its class runs in another process; here a made-up one."""

import sys

import pytest

from scripts.benchmark.__main__ import main
from scripts.benchmark.public_worker import MODELS

CONFIGURATION = """
class Sa2VAChatConfig:
    def __init__(self, **values):
        assert values["vision_config"]["architectures"] == ["InternVisionModel"]
        self.values = values
"""
MODELING = """
import time
import torch
from .configuration_sa2va_chat import Sa2VAChatConfig  # the package is found as one

class Language(torch.nn.Module):
    def generate(self, logits_processor, most):
        said = []
        for _ in range(most):
            scores = logits_processor(torch.zeros(1, 1, dtype=torch.long), torch.zeros(1, 50))
            said.append(int(scores.argmax()))
        return said

class Sa2VAChatModel(torch.nn.Module):
    def __init__(self, config, use_flash_attn):
        super().__init__()
        assert isinstance(config, Sa2VAChatConfig)
        self.weight = torch.nn.Parameter(torch.empty(4, 4))
        self.language_model = Language()

    def predict_forward(self, video, text, tokenizer):
        print("words between the answers")
        assert len(video) == 6 and video[0].size == (64, 48)
        assert text.startswith("<image>") and "Please segment the thing number" in text
        said = tokenizer.convert_ids_to_tokens(self.language_model.generate(most=5))
        assert said == ["Sure", ",", "[SEG]", ".", "<|im_end|>"], said
        if "number 9" in text:
            raise RuntimeError("enough")
        time.sleep(0.05)
"""
WORDS = ["--size", "small", "--frames", "6", "--height", "48", "--width", "64", "--sentences", "2",
         "--device", "cpu"]  # fmt: skip


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "Sa2VA" / MODELS
    folder.mkdir(parents=True)
    (folder / "configuration_sa2va_chat.py").write_text(CONFIGURATION)
    (folder / "modeling_sa2va_chat.py").write_text(MODELING)
    return tmp_path / "Sa2VA"


def test_a_checkout_is_timed_in_turn_with_ours(checkout, capsys):
    assert main([*WORDS, "--public", str(checkout), "--public-python", sys.executable]) == 0
    row = capsys.readouterr().out.splitlines()[-1].strip("| ").split(" | ")
    assert row[:4] == ["small, 48 x 64", "5", "2", "6"]
    one, all_of_them = float(row[4]), float(row[5])
    assert one >= 0.05
    assert all_of_them == pytest.approx(2 * one, abs=0.1)


def test_what_the_public_code_cannot_be_asked_is_refused_before_it_starts(checkout, capsys):
    assert main([*WORDS, "--public", str(checkout), "--key-frames", "20"]) == 2
    assert "take --key-frames 5" in capsys.readouterr().err
    assert main([*WORDS, "--public", str(checkout.parent)]) == 2
    assert "git clone https://github.com/bytedance/Sa2VA" in capsys.readouterr().err


def test_public_code_that_fails_is_told(checkout, capsys):
    (checkout / MODELS / "modeling_sa2va_chat.py").write_text("raise SystemExit(3)")
    assert main([*WORDS, "--public", str(checkout)]) == 2
    assert "ended with status 3" in capsys.readouterr().err
    assert main([*WORDS, "--public", str(checkout), "--public-python", "/nowhere/python"]) == 2
    assert "--public-python /nowhere/python: No such file" in capsys.readouterr().err
