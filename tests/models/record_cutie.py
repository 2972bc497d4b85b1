"""Record what the package rf-cutie alone does with the cases of cutie_cases.py.

    PYTHONPATH=.:tests python -m models.record_cutie

Frame by frame as its own evaluation goes, without anything of submission but the settings.
"""

import warnings
from collections.abc import Iterable

import numpy as np
import torch
from cutie.inference.inference_core import InferenceCore
from models.cutie_cases import CASES, EVERY, RECORDED, Case, cutie
from omegaconf import OmegaConf

from submission.models.cutie.network import model_table


def run(case: Case, times: Iterable[int]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Return probabilities and ids of the frames that one core sees in this order."""
    network = cutie("small").network
    table = {**case.settings.table(*case.size), "model": model_table("small")}
    core = InferenceCore(network, OmegaConf.create(table))
    images = torch.from_numpy(case.frames).permute(0, 3, 1, 2).float() / 255
    result = {}
    for time in times:
        mask = torch.from_numpy(case.masks[time]).long() if time in case.masks else None
        objects = None if mask is None else [one for one in mask.unique().tolist() if one]
        with torch.inference_mode():
            probabilities = core.step(images[time], mask, objects)
            result[time] = probabilities.numpy(), core.output_prob_to_mask(probabilities).numpy()
    return result


def record() -> None:
    """Write one file for each case."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    torch.set_num_threads(1)
    RECORDED.mkdir(exist_ok=True)
    for name, case in CASES.items():
        start = min(case.given)
        frames = run(case, range(start, -1, -1)) | run(case, range(start, case.length))
        arrays = {f"prob_{t:03}": frames[t][0][:, ::EVERY, ::EVERY] for t in sorted(frames)}
        ids = np.stack([frames[t][1] for t in sorted(frames)]).astype(np.uint8)
        np.savez_compressed(RECORDED / f"{name}.npz", ids=ids, **arrays)
        print(name, [round(float((one > 0).mean()), 2) for one in ids])


if __name__ == "__main__":
    record()
