"""Where tokens stand for the language model: a time, a row and a column; no torch.

A text token stands at the same number on all three axes. An image's tokens share a time, and what
follows counts on from its longer side: so positions behind images are smaller than the number of
tokens before them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def positions_of(ids: Sequence[int], image_id: int, cells: tuple[int, int]) -> NDArray[np.int64]:
    """Return positions (3, N) of a prompt in which each run of `image_id` is an image.

    `cells` are the rows and columns of visual tokens of every image. Raises ValueError when a run
    is no whole number of images.
    """
    rows, columns = np.indices(cells).reshape(2, -1)
    image = np.stack([np.zeros_like(rows), rows, columns])
    parts: list[NDArray[np.int64]] = []
    place, start = 0, 0
    while place < len(ids):
        if ids[place] != image_id:
            parts.append(np.full((3, 1), start))
            place, start = place + 1, start + 1
            continue
        size = image.shape[1]
        if any(token != image_id for token in ids[place : place + size]) or place + size > len(ids):
            raise ValueError(f"the image at token {place} has not {size} tokens")
        parts.append(image + start)
        place, start = place + size, start + max(cells)
    return np.concatenate(parts, axis=1) if parts else np.zeros((3, 0), np.int64)
