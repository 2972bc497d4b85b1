"""What is known of the files that MeViS published, to tell a damaged download from them.

The SHA-256 of two files are public (github.com/henghuiding/MeViS, issue 4); no others are known.
"""

from collections.abc import Callable

from submission.dataset.records import Split

# Name, number of videos and number of sentences of a split of MeViS v1 -> its mask_dict.json.
_MASKS = {
    ("train", 1662, 23051): "f9d9b01a2a6d7a004e2e7a664ce2b9b1576218e975030f8e4df4f66111fb253f",
    ("valid_u", 50, 793): "6e711a3f713cd95a825f536323e434b4d80f85a8e4e66d0cd662408e8779db50",
}


def differs_from_official(split: Split, sha256: Callable[[], str]) -> str | None:
    """Say that the masks of a whole official split are not the published ones, else None.

    `sha256` gives the digest of the split's mask_dict.json; it is asked only for a split whose
    masks are known.
    """
    known = _MASKS.get((split.name, len(split.videos), split.num_sentences))
    if known is None or (found := sha256()) == known:
        return None
    return (
        f"not the file that MeViS v1 published for {split.name} (SHA-256 {found[:12]}..., "
        f"published {known[:12]}...); scores may be of damaged masks: download it again"
    )
