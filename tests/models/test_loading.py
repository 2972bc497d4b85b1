"""Opening checkpoint folders: whole, sharded, tied, and damaged in every way, each said by name."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from models.checkpoints import TINY, TINY_I, Change, copy_checkpoint, shard, write_index
from safetensors.torch import load_file, save_file

from submission.errors import FaultyInput, InputError
from submission.models.finite import is_finite
from submission.models.sa2va.loading import load

NORM = "language_model.model.norm.weight"


def open_changed(folder: Path, change: Change) -> None:
    load(copy_checkpoint(TINY, folder / "changed", change), "cpu", "float32")


# --- what is accepted ----------------------------------------------------------------------------
@pytest.mark.parametrize("source", [TINY, TINY_I], ids=lambda path: path.name)
def test_every_value_is_read_and_shards_equal_one_file(tmp_path, source):
    folder = copy_checkpoint(source, tmp_path / "sharded")
    shard(folder, 3)
    whole, sharded = (load(path, "cpu", "float32").network for path in (source, folder))
    values = sharded.state_dict()
    for name, value in whole.state_dict().items():
        assert value.device.type == "cpu", name
        assert torch.equal(value, values[name]), name
    stored = sum(value.numel() for value in load_file(source / "model.safetensors").values())
    assert sum(value.numel() for value in values.values()) == stored


def test_a_tied_output_layer_may_be_left_out(tmp_path):
    def tie(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        config["llm_config"]["tie_word_embeddings"] = True
        del tensors["language_model.lm_head.weight"]

    language = load(
        copy_checkpoint(TINY, tmp_path / "tied", tie), "cpu", "float32"
    ).network.language
    assert torch.equal(language.lm_head.weight, language.model.embed_tokens.weight)
    with pytest.raises(FaultyInput, match=r"language_model\.lm_head\.weight: is missing"):
        open_changed(tmp_path, lambda _, tensors: tensors.pop("language_model.lm_head.weight"))


def test_stored_rotary_tables_are_read_past(tmp_path):
    def add(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        key = "language_model.model.layers.0.attention.rotary_emb.inv_freq"
        tensors[key] = torch.zeros(8)

    load(copy_checkpoint(TINY_I, tmp_path / "with_table", add), "cpu", "float32")


@pytest.mark.parametrize(("dtype", "expected"), [("auto", "float32"), ("bfloat16", "bfloat16")])
def test_precisions(dtype, expected):
    model = load(TINY, "cpu", dtype)
    kinds = {name: value.dtype for name, value in model.network.state_dict().items()}
    table = "grounding.sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
    assert kinds.pop(table) == torch.float32
    assert set(kinds.values()) == {getattr(torch, expected)}


# --- memory --------------------------------------------------------------------------------------
MEASURE = """
import sys
from pathlib import Path
from submission.models.sa2va.loading import load

def kilobytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))

load(sys.argv[1], "cpu", "float32")
before = kilobytes("VmRSS")
model = load(sys.argv[2], "cpu", "float32")
print(kilobytes("VmHWM") - before, sum(p.numel() * 4 for p in model.network.parameters()) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
def test_peak_memory_is_the_model_and_at_most_one_shard(tmp_path):
    vocabulary = 300_000

    def enlarge(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        config["llm_config"]["vocab_size"] = vocabulary
        for key in ("language_model.lm_head.weight", "language_model.model.embed_tokens.weight"):
            tensors[key] = torch.ones(vocabulary, tensors[key].shape[1])

    folder = copy_checkpoint(TINY, tmp_path / "large", enlarge)
    shard(folder, 2)
    largest = max(path.stat().st_size for path in folder.glob("*.safetensors")) // 1024
    command = [sys.executable, "-c", MEASURE, str(TINY), str(folder)]
    peak, size = map(int, subprocess.check_output(command, text=True).split())
    assert size > 140_000  # kilobytes: large beside what Python itself needs
    assert size < peak < size + largest + 20_000


# --- weights that do not fit ---------------------------------------------------------------------
def test_a_missing_tensor(tmp_path):
    with pytest.raises(FaultyInput, match=rf"{NORM}: is missing"):
        open_changed(tmp_path, lambda _, tensors: tensors.pop(NORM))


def test_an_unexpected_tensor(tmp_path):
    with pytest.raises(FaultyInput, match=r"adapter\.lora_A: is not a tensor of this model"):
        open_changed(tmp_path, lambda _, tensors: tensors.update({"adapter.lora_A": torch.ones(1)}))


def test_a_tensor_of_another_shape(tmp_path):
    with pytest.raises(FaultyInput, match=rf"{NORM}: has shape \(63,\) and should have \(64,\)"):
        open_changed(tmp_path, lambda _, tensors: tensors.update({NORM: torch.ones(63)}))


def test_all_faults_are_listed_at_once(tmp_path):
    def damage(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        del tensors[NORM]
        tensors["mlp1.0.bias"] = torch.zeros(2, 2)
        tensors["stranger"] = torch.zeros(1)

    with pytest.raises(FaultyInput) as error:
        open_changed(tmp_path, damage)
    assert {fault.where for fault in error.value.faults} == {NORM, "mlp1.0.bias", "stranger"}
    assert "changed" in str(error.value)
    assert "Fetch the checkpoint again" in str(error.value)


def test_names_that_a_wrapped_model_saved(tmp_path):
    def wrap(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        for key in list(tensors):
            tensors[f"module.{key}"] = tensors.pop(key)

    with pytest.raises(InputError, match=r"all tensors have 'module\.' in front of their names"):
        open_changed(tmp_path, wrap)


def test_masks_by_another_model_than_sam_2(tmp_path):
    def replace(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        for key in [key for key in tensors if key.startswith("grounding_encoder.")]:
            tensors[key.replace("sam2_model", "tracker")] = tensors.pop(key)

    with pytest.raises(InputError, match=r"another model than SAM 2 .*grounding_encoder\.tracker"):
        open_changed(tmp_path, replace)


def test_a_config_that_speaks_of_sam_3_is_told_by_its_family(tmp_path):
    def speak(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        config["sam3_cfg"] = {}

    with pytest.raises(InputError, match=r"config\.json: this is a Sa2VA with SAM 3 in place"):
        open_changed(tmp_path, speak)


# --- files that are not whole --------------------------------------------------------------------
@pytest.mark.parametrize("left", [0, 100, 1_000_000])
def test_a_truncated_file(tmp_path, left):
    folder = copy_checkpoint(TINY, tmp_path / "cut")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(InputError, match=r"cut/model\.safetensors: not a whole safetensors file"):
        load(folder, "cpu", "float32")


def test_a_tensor_in_two_shards(tmp_path):
    folder = copy_checkpoint(TINY, tmp_path / "sharded")
    shard(folder, 2)
    first, second = sorted(folder.glob("model-*.safetensors"))
    tensors = load_file(second)
    key, value = next(iter(load_file(first).items()))
    save_file(tensors | {key: value + 1}, second)
    with pytest.raises(FaultyInput, match=f"{key}: is in {second.name} and in an earlier shard"):
        load(folder, "cpu", "float32")


def test_a_missing_shard(tmp_path):
    folder = copy_checkpoint(TINY, tmp_path / "sharded")
    shard(folder, 3)
    (folder / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(FaultyInput, match=r"model-00002-of-00003\.safetensors: is missing"):
        load(folder, "cpu", "float32")


@pytest.mark.parametrize("name", ["../x.safetensors", "/x.safetensors", "a/b.safetensors"])
def test_an_index_that_leads_out_of_the_folder(tmp_path, name):
    folder = copy_checkpoint(TINY, tmp_path / "sharded")
    save_file({NORM: torch.ones(64)}, tmp_path / "x.safetensors")
    write_index(folder, {NORM: name})
    with pytest.raises(FaultyInput, match=r"is no plain file name") as error:
        load(folder, "cpu", "float32")
    assert name in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": 3}}', '{"weight_map": ["a"]}'],
)
def test_an_index_that_names_no_files(tmp_path, text):
    folder = copy_checkpoint(TINY, tmp_path / "sharded")
    (folder / "model.safetensors.index.json").write_text(text)
    with pytest.raises(InputError, match=r"index\.json: not a safetensors index"):
        load(folder, "cpu", "float32")


def test_an_index_that_is_no_json(tmp_path):
    folder = copy_checkpoint(TINY, tmp_path / "sharded")
    (folder / "model.safetensors.index.json").write_text("{")
    with pytest.raises(InputError, match=r"index\.json: broken JSON at line 1, column 2"):
        load(folder, "cpu", "float32")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("model.safetensors", "neither model.safetensors nor model.safetensors.index.json"),
        ("config.json", "there is no config.json"),
        ("tokenizer_config.json", r"tokenizer_config\.json: missing"),
        ("tokenizer.json", r"neither tokenizer\.json nor tokenizer\.model"),
    ],
)
def test_a_file_that_is_not_there(tmp_path, name, says):
    folder = copy_checkpoint(TINY, tmp_path / "changed")
    (folder / name).unlink()
    with pytest.raises(InputError, match=says) as error:
        load(folder, "cpu", "float32")
    assert str(folder) in str(error.value)


def test_pickled_weights_are_not_read(tmp_path):
    folder = copy_checkpoint(TINY, tmp_path / "pickled")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"only safetensors are read, and pytorch_model\.bin"):
        load(folder, "cpu", "float32")


POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 5\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (POINTER.encode(), "a git-lfs pointer instead of the file; run: git lfs pull"),
        (b"<!DOCTYPE html><html>", "a web page instead of the file"),
        (b"PK\x03\x04" + bytes(60), "a zip archive"),
        (bytes(4096), "nothing but zeros"),
    ],
)
def test_what_lies_in_the_place_of_weights_is_recognised(tmp_path, content, says):
    folder = copy_checkpoint(TINY, tmp_path / "mistaken")
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=says):
        load(folder, "cpu", "float32")


def test_a_link_to_nothing_is_told_with_its_target(tmp_path):
    folder = copy_checkpoint(TINY, tmp_path / "linked")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("../../blobs/aa")
    with pytest.raises(InputError, match=r"a link to ../../blobs/aa, which is not there"):
        load(folder, "cpu", "float32")


def test_a_cache_of_the_hub_and_a_folder_too_high_say_where_the_checkpoint_is(tmp_path):
    cache = tmp_path / "models--Lab--A"
    snapshot = copy_checkpoint(TINY, cache / "snapshots" / "bb")
    with pytest.raises(InputError, match=f"a cache of the Hub; .* below it: {snapshot}"):
        load(cache, "cpu", "float32")
    with pytest.raises(InputError, match=f"One level deeper is a checkpoint: {snapshot}"):
        load(cache / "snapshots", "cpu", "float32")


# --- values that are no numbers ------------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "words"), [(float("nan"), "1 NaN of 64 values"), (float("-inf"), "1 infinite of")]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_weights_that_are_not_finite_are_named_with_their_file(tmp_path, value, words, dtype):
    def spoil(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        tensors[NORM] = tensors[NORM].to(dtype)
        tensors[NORM][5] = value
        tensors["mlp1.0.bias"][0] = value

    with pytest.raises(FaultyInput, match=rf"model\.safetensors: .*\n.*{NORM}: {words}") as error:
        open_changed(tmp_path, spoil)
    assert {fault.where for fault in error.value.faults} == {NORM, "mlp1.0.bias"}


def test_large_numbers_whose_sum_overflows_are_numbers():
    assert is_finite(torch.full((9,), 6e4, dtype=torch.float16))
    assert is_finite(torch.full((9,), 3e38))
    assert is_finite(torch.tensor([], dtype=torch.float32))
    assert not is_finite(torch.tensor([3e38, 3e38, float("nan")]))


def test_a_kernel_that_the_device_has_not_is_refused_before_weights_are_read():
    with pytest.raises(InputError, match=r'attention = "cudnn": .* on a CPU; known: auto, flash'):
        load(TINY, "cpu", "float32", attention="cudnn")


def test_no_folder(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such checkpoint folder"):
        load(tmp_path / "nowhere")


# --- tokenizer, device, precision ----------------------------------------------------------------
def test_a_tokenizer_without_seg(tmp_path):
    folder = copy_checkpoint(TINY, tmp_path / "changed")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        path = folder / name
        path.write_text(path.read_text().replace("[SEG]", "[GES]"))
    with pytest.raises(InputError, match=r"no Sa2VA tokenizer, it lacks \[SEG\]"):
        load(folder, "cpu", "float32")


def test_a_tokenizer_that_contradicts_its_list_of_added_tokens(tmp_path):
    folder = copy_checkpoint(TINY, tmp_path / "changed")
    (folder / "added_tokens.json").write_text(json.dumps({"[SEG]": 7}))
    with pytest.raises(InputError, match=r"\[SEG\] is 328 in the vocabulary and 7 in"):
        load(folder, "cpu", "float32")


def test_a_tokenizer_of_a_larger_language_model(tmp_path):
    def shrink(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        config["llm_config"]["vocab_size"] = 320
        for key in ("language_model.lm_head.weight", "language_model.model.embed_tokens.weight"):
            tensors[key] = tensors[key][:320].contiguous()

    with pytest.raises(InputError, match=r"\[SEG\] is token 328, .* has 320 tokens"):
        open_changed(tmp_path, shrink)


def test_devices_and_precisions_that_are_not_there():
    with pytest.raises(InputError, match="known: auto, float32, bfloat16"):
        load(TINY, "cpu", "float8")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="finds no usable GPU"):
            load(TINY, "cuda")
