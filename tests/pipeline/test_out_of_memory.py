"""A GPU that runs out of memory over a video: less at once, said; what cannot be helped is left."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from submission.compute import Compute
from submission.errors import InputError
from submission.experts.expert import Tools
from submission.experts.sa2va.expert import Sa2VAExpert, Settings
from submission.models.sam2.fixed_parts import FixedParts
from submission.models.workload import Limits
from submission.terminal.progress import Reporter


class Model:
    """Runs out of memory until it is asked for few enough objects at once."""

    config = SimpleNamespace(grounding=None)
    attention = "slow"
    parts = FixedParts()

    def __init__(self, fits: int, error: RuntimeError | None = None) -> None:
        self.error = error or torch.OutOfMemoryError("no room")
        self.limits = Limits(sentences_at_once=64, objects_at_once=16, images_at_once=8)
        self.fits = fits  # objects at once
        self.tried: list[Limits] = []

    def begin(self, video, call):
        pass

    def watch(self, loader, keeping):
        return "features"

    def ask(self, loader, sentences, settings, kept=None, meanwhile=None):
        meanwhile()
        return list(sentences)

    def ground(self, video, replies, settings):
        self.tried.append(self.limits)
        if min(self.limits.objects_at_once, len(replies)) > self.fits:
            raise self.error
        return [f"{reply}: found" for reply in replies]


class Session:
    """A video of 30 small frames, whose features are dropped when they are asked to be."""

    shape = (30, 20, 40)
    loader, several = None, False
    released = 0

    def shared(self, key, make):
        return make()

    def release(self):
        self.released += 1


def make_expert(model: Model, seg: str = "first") -> Sa2VAExpert:
    models = SimpleNamespace(get=lambda key, load: model, is_alone=lambda key: True)
    finder = SimpleNamespace(locate=Path)
    tools = Tools(Path(), Compute(), finder, None, Reporter("plain"), models=models)
    return Sa2VAExpert("a", Settings(checkpoint="x", seg=seg), tools)


def segment(model: Model, session: Session, sentences: int, seg: str = "first") -> list:
    expert, asked = make_expert(model, seg), ["s"] * sentences
    return expert.answering.segment(session, asked, expert.settings.call(), "clip", several=False)


def ask(model: Model, sentences: int) -> list:
    session = Session()
    answers = segment(model, session, sentences)
    assert session.released == len(model.tried) - 1
    return answers


def test_less_goes_through_at_once_until_it_fits_and_stays_so(capsys):
    model = Model(fits=4)
    assert len(ask(model, 10)) == 10
    assert [limits.objects_at_once for limits in model.tried] == [16, 8, 4]
    assert "video clip: out of GPU memory, going on with Limits(" in capsys.readouterr().err
    assert model.limits.objects_at_once == 4


def test_only_what_changes_something_for_the_video_is_tried():
    model = Model(fits=1)
    ask(model, 2)
    used = [
        (min(2, one.sentences_at_once), min(2, one.objects_at_once), min(30, one.images_at_once))
        for one in model.tried
    ]
    assert used == sorted(set(used), reverse=True)
    assert model.tried[-1].objects_at_once == 1


def test_a_video_that_never_fits_leaves_the_limits_for_the_others():
    model = Model(fits=0)
    before = model.limits
    with pytest.raises(InputError, match="does not hold 30 frames of 40 x 20 even one at a time"):
        segment(model, Session(), 3)
    assert model.tried[-1] == Limits(1, 1, 1)
    assert model.limits == before


def test_a_union_of_several_objects_may_have_more_than_sentences():
    model = Model(fits=0)
    with pytest.raises(InputError):
        segment(model, Session(), 1, seg="union")
    assert model.tried[-1].objects_at_once == 1


# As torch words what is no error of its own allocator.
NO_HANDLE = "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
NO_WORKSPACE = "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"
NO_PINNED = "CUDA error: out of memory\nCompile with `TORCH_USE_CUDA_DSA` to enable assertions"


@pytest.mark.parametrize("words", [NO_HANDLE, NO_WORKSPACE, NO_PINNED])
def test_a_library_that_finds_no_memory_is_the_same(words):
    model = Model(fits=4, error=RuntimeError(words))
    assert len(ask(model, 10)) == 10
    assert model.limits.objects_at_once == 4


def test_another_error_of_the_gpu_is_no_lack_of_memory():
    model = Model(fits=4, error=RuntimeError("CUDA error: an illegal memory access was met"))
    with pytest.raises(RuntimeError, match="illegal memory access"):
        ask(model, 10)
    assert len(model.tried) == 1
