"""Compare the names of a submission with those that a split asks for.

Pure: plain names in, faults out. What lies there under a nearly right name is one fault of its
video, and is then taken for what it stands for; what is missing or too much comes after that. A
submission without any video of the split is one fault: it answers another.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from submission.dataset.near_names import Near, pair_up
from submission.dataset.records import Split, Video
from submission.errors import Fault
from submission.output.layout import extra_faults, file_names, missing_faults

_Files = dict[str, str]  # name inside the folder of a sentence -> name as it is there
_Tree = dict[str, dict[str, _Files]]  # video -> expression -> files


def name_faults(names: Collection[str], split: Split) -> list[Fault]:
    """Return everything that is wrong with the names of a submission, in plain form."""
    near, renamed = nearly_right(names, split)
    settled = dict.fromkeys(sorted(renamed.get(name, name) for name in names))
    if fault := other_split_fault(settled, split):
        return [fault]
    return [*near, *missing_faults(settled, split), *extra_faults(settled, split)]


def nearly_right(names: Collection[str], split: Split) -> tuple[list[Fault], dict[str, str]]:
    """Return a fault for each video with nearly right names, and what each stands for."""
    if set(file_names(split)) <= set(names):
        return [], {}
    tree = _tree(names)
    faults: list[Fault] = []
    renamed: dict[str, str] = {}
    videos = [video.name for video in split.videos]
    folders = _stand_ins(videos, tree)
    for video in split.videos:
        own = tree.get(video.name)
        if own is None:
            if folders is None or video.name not in folders.found_for:
                continue
            found = folders.found_for[video.name]
            own = tree[found]
            faults.append(Fault(video.name, _words({video.name: found}, folders.how, "folder")))
        faults += _video_faults(video, own, renamed)
    return faults, renamed


def other_split_fault(names: Collection[str], split: Split) -> Fault | None:
    """Return the fault of masks none of which lies in the folder of a video of the split."""
    videos = dict.fromkeys(name.partition("/")[0] for name in names if name.count("/") == 2)
    if not (videos and split.videos) or any(video.name in videos for video in split.videos):
        return None  # of more shards than videos some have none
    first = ascii(next(iter(videos)))[1:-1]
    what = (
        f"none of its {len(split.videos)} videos lies there, but {len(videos)} others ({first}"
        f"{', ...' * (len(videos) > 1)}), which belong to another split or another year's data; "
        "pass --data and --split of those, or masks of this one"
    )
    return Fault(f"split {split.name}", what)


def as_one(faults: list[Fault], folder: str, total: int) -> list[Fault]:
    """Return one fault in place of the same one for each of all frames."""
    if len({fault.what for fault in faults}) == 1 and len(faults) == total > 1:
        return [Fault(folder, f"all {total} frames: {faults[0].what}")]
    return faults


def _video_faults(video: Video, own: dict[str, _Files], renamed: dict[str, str]) -> list[Fault]:
    """The faults of one video's names; what they stand for is added to `renamed`."""
    faults: list[Fault] = []
    expressions = [expression.id for expression in video.expressions]
    frames = [f"{frame}.png" for frame in video.frame_names]
    if not any(id in own for id in expressions) and set(frames) & own.keys():
        what = "masks lie in the folder of the video; each expression has a folder of its own"
        return [Fault(video.name, what)]
    folders = _stand_ins(expressions, own)
    if folders is not None:
        faults.append(Fault(video.name, folders.in_words("folder")))
    by_kind: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for id in expressions:
        found = own.get(folders.found_for.get(id, id) if folders else id, {})
        files = _numbered_one_higher(frames, found) or _stand_ins(frames, found)
        pairs = files.found_for if files else {}
        for frame in frames:
            if (there := pairs.get(frame, frame)) in found:
                renamed[found[there]] = f"{video.name}/{id}/{frame}"
        if files is not None:
            by_kind[files.how] |= {f"{id}/{frame}": f"{id}/{name}" for frame, name in pairs.items()}
    faults += [Fault(video.name, _words(pairs, how, "file")) for how, pairs in by_kind.items()]
    return faults


def _words(pairs: Mapping[str, str], how: str, kind: str) -> str:
    return Near(pairs, how).in_words(kind)


def _stand_ins(wanted: Collection[str], there: Mapping[str, object]) -> Near | None:
    """Pair what is missing with what is too many."""
    missing = [name for name in wanted if name not in there]
    asked = set(wanted)
    return pair_up(missing, [name for name in there if name not in asked]) if missing else None


def _numbered_one_higher(frames: list[str], there: Collection[str]) -> Near | None:
    """Pair frames with files that were counted from 1 where the split counts from 0."""
    stems = [frame.removesuffix(".png") for frame in frames]
    if frames[0] in there or not all(stem.isdecimal() for stem in stems):
        return None
    higher = [f"{int(stem) + 1:0{len(stem)}}.png" for stem in stems]
    pairs = dict(zip(frames, higher, strict=True))
    return Near(pairs, "numbered one higher") if set(higher) <= set(there) else None


def _tree(names: Iterable[str]) -> _Tree:
    tree: _Tree = {}
    for name in names:
        video, _, rest = name.partition("/")
        expression, _, file = rest.partition("/")
        tree.setdefault(video, {}).setdefault(expression, {})[file] = name
    return tree
