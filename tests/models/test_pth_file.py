"""A .pth file is read as tensors or refused in one sentence, and never runs code."""

import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from submission.errors import InputError
from submission.models.pth_file import read_weights

WEIGHTS = {"layer.weight": torch.arange(6.0).reshape(2, 3), "layer.steps": torch.tensor(3)}


def same(tensors):
    return tensors.keys() == WEIGHTS.keys() and all(
        torch.equal(tensors[key], value) for key, value in WEIGHTS.items()
    )


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "wrap",
    [
        dict,
        OrderedDict,
        lambda table: {"model": table, "iteration": np.int64(7), "loss": np.float64(0.5)},
        lambda table: {"state_dict": OrderedDict(table), "log": np.ones((2, 2), np.float32)},
        lambda table: {"model": {key: value.numpy() for key, value in table.items()}},
    ],
)
def test_tensors_are_read_from_the_layouts_of_training_scripts(tmp_path, wrap, zipped):
    path = tmp_path / "model_final.pth"
    torch.save(wrap(WEIGHTS), path, _use_new_zipfile_serialization=zipped)
    assert same(read_weights(path))


def test_numbers_of_an_old_numpy_are_read(tmp_path):
    path = tmp_path / "model_final.pth"
    torch.save({"model": WEIGHTS, "best": np.float64(0.5)}, path,
               _use_new_zipfile_serialization=False)  # fmt: skip
    content = path.read_bytes()
    assert b"numpy._core.multiarray" in content
    path.write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert same(read_weights(path))


def test_safetensors_are_read_too(tmp_path):
    save_file(WEIGHTS, tmp_path / "model.safetensors")
    assert same(read_weights(tmp_path / "model.safetensors"))


class Trap:
    """Pickled, it makes a file when it is opened carelessly."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_is_refused_by_name_and_not_run(tmp_path, zipped):
    path, target = tmp_path / "model_final.pth", tmp_path / "written"
    content = {"model": WEIGHTS, "hook": Trap(target)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match=r"model_final\.pth: wants to run \w+\.open ") as error:
        read_weights(path)
    assert not target.exists()
    assert "\n" not in str(error.value)
    torch.load(path, weights_only=False)["hook"].close()  # the trap is a real one
    assert target.exists()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.97])
def test_a_truncated_file_is_said_not_to_be_whole(tmp_path, zipped, share):
    path = tmp_path / "model_final.pth"
    torch.save({"model": WEIGHTS}, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=r"not a whole \.pth file") as error:
        read_weights(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [[1, 2], {}, {"model": {"name": "uninext"}}, {"lr": 0.1}])
def test_a_file_without_weights_is_no_checkpoint(tmp_path, content):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"no checkpoint|no table of weights"):
        read_weights(tmp_path / "a.pth")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_weights(tmp_path / "a.pth")
    (tmp_path / "a.pth").write_text("<html>sign in to download</html>")
    with pytest.raises(InputError, match=r"not a whole \.pth file"):
        read_weights(tmp_path / "a.pth")
    (tmp_path / "a.pth").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(InputError):
        read_weights(tmp_path / "a.pth")
