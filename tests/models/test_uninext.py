"""UNINEXT in small: sharing, sizes, precision, text, and files that are refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from models.test_pth_file import Trap
from models.uninext_cases import TINY, TINY_BACKBONES, random_checkpoint, write_checkpoint
from safetensors.torch import save_file
from transformers import DeformableDetrConfig
from transformers.models.deformable_detr import modeling_deformable_detr

from submission.errors import InputError
from submission.models.uninext.config import FRAME_SIZE, read_config
from submission.models.uninext.loading import load, recognises
from submission.models.uninext.tokenizer import clean

SENTENCES = ["the red one", "the dog that moves left", "cats"]
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("uninext")
    write_checkpoint(root / "r50")
    return root


@pytest.fixture(scope="module")
def model(folder):
    return load(folder / "r50/model_final.pth", "cpu", "float32")


@pytest.fixture(scope="module")
def frame():
    return np.random.default_rng(0).integers(0, 256, (40, 70, 3), np.uint8)


def assert_same(ours, others):
    """Equal masks, and numbers but for rounding."""
    for one, other in zip(ours, others, strict=True):
        assert (one.mask == other.mask).all()
        assert one.score == pytest.approx(other.score, abs=ROUNDING)
        assert one.box == pytest.approx(other.box, abs=1e-2)


def test_sentences_that_share_a_frame_get_what_each_gets_alone(model, frame):
    image = FRAME_SIZE(frame)
    features = model.encode_image(image)
    together = model.detect(features, model.read(SENTENCES), frame.shape[:2])
    alone = [model.segment_image(frame, sentence) for sentence in SENTENCES]
    assert_same(together, alone)
    assert len({d.score for d in together}) == len(SENTENCES)
    model.sentences_at_once, before = 2, model.sentences_at_once
    assert_same(model.detect(features, model.read(SENTENCES), frame.shape[:2]), alone)
    model.sentences_at_once = before


def test_a_detection_has_the_size_of_the_frame(model, frame):
    found = model.segment_image(frame, SENTENCES[0])
    assert found.mask.shape == (40, 70)
    assert found.mask.dtype == np.bool_
    assert 0 < found.score < 1
    left, top, right, bottom = found.box
    assert left < right
    assert top < bottom


def test_padding_of_the_text_changes_nothing(model, frame):
    image = model.encode_image(FRAME_SIZE(frame))
    longer = f"{SENTENCES[1]} and all that moves beside it"  # the shorter one is padded to it
    together = model.detect(image, model.read([SENTENCES[1], longer]), (40, 70))
    assert_same(together[:1], [model.segment_image(frame, SENTENCES[1])])


@pytest.mark.parametrize("backbone", ["convnext", "vit"])
def test_padding_of_the_frame_is_masked_out(tmp_path, backbone):
    """What stands in the padding reaches no token but through the backbone: position and size."""
    config = replace(TINY, backbone=TINY_BACKBONES[backbone])
    model = load(write_checkpoint(tmp_path, config), "cpu", "float32")
    image = np.random.default_rng(1).integers(0, 256, (75, 118, 3), np.uint8)
    features = model.encode_image(image)
    assert features.size == (75, 118)
    assert features.maps.sizes[0] == (12, 16)  # of 96 x 128
    first = features.maps.valid[: 12 * 16].reshape(12, 16)
    assert first[:10, :15].all()  # 75 and 118 pixels reach into the tenth and fifteenth
    assert not first[10:].any()
    assert not first[:, 15:].any()
    found = model.detect(features, model.read(SENTENCES[:1]), (150, 236))[0]
    assert found.mask.shape == (150, 236)


def test_any_size_goes_through_resnet_without_padding(model):
    image = np.zeros((75, 118, 3), np.uint8)
    assert model.encode_image(image).maps.valid.all()


def test_in_bfloat16_only_the_backbone_is_narrow(folder, model, frame):
    narrow = load(folder / "r50/model_final.pth", "cpu", "bfloat16")
    kinds = {
        name.partition(".")[0]: value.dtype for name, value in narrow.network.named_parameters()
    }
    assert kinds.pop("backbone") == torch.bfloat16
    assert set(kinds.values()) == {torch.float32}
    score = narrow.segment_image(frame, SENTENCES[0]).score
    assert score == pytest.approx(model.segment_image(frame, SENTENCES[0]).score, abs=0.05)


def test_safetensors_hold_the_same_model(tmp_path, model, frame):
    write_checkpoint(tmp_path)
    (tmp_path / "model_final.pth").unlink()
    save_file(random_checkpoint(TINY), tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors", "cpu", "float32")
    ours, others = (one.segment_image(frame, "the red one") for one in (again, model))
    assert_same([ours], [others])


# --- pinned: a class of transformers that is not among its public names --------------------------
def test_deformable_attention_of_transformers_is_the_published_one():
    torch.manual_seed(0)
    attention = modeling_deformable_detr.DeformableDetrMultiscaleDeformableAttention(
        DeformableDetrConfig(d_model=8, num_feature_levels=2), num_heads=2, n_points=3
    )
    assert [name for name, _ in attention.named_parameters()] == [
        f"{layer}.{part}"
        for layer in ("sampling_offsets", "attention_weights", "value_proj", "output_proj")
        for part in ("weight", "bias")
    ]
    sizes = [(4, 5), (2, 3)]
    queries, values = torch.randn(1, 7, 8), torch.randn(1, 26, 8)
    valid = torch.rand(1, 26) > 0.2
    for where in (torch.rand(1, 7, 2, 2), torch.rand(1, 7, 2, 4)):
        with torch.no_grad():
            ours = attention(
                queries, attention_mask=valid, encoder_hidden_states=values, reference_points=where,
                spatial_shapes=torch.tensor(sizes), spatial_shapes_list=sizes,
            )[0]  # fmt: skip
            theirs = by_definition(attention, queries, values, valid, where, sizes)
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def by_definition(attention, queries, values, valid, where, sizes):
    """Deformable DETR's formula, sample by sample."""
    offsets = attention.sampling_offsets(queries).view(7, 2, 2, 3, 2)  # query, head, level, point
    weights = attention.attention_weights(queries).view(7, 2, 6).softmax(-1).view(7, 2, 2, 3)
    projected = (attention.value_proj(values) * valid[..., None])[0].view(26, 2, 4)
    heads = torch.zeros(7, 2, 4)
    start = 0
    for level, (height, width) in enumerate(sizes):
        grid = projected[start : start + height * width].view(height, width, 2, 4)
        start += height * width
        for query, head, point in np.ndindex(7, 2, 3):
            offset, place = offsets[query, head, level, point], where[0, query, level]
            if len(place) == 2:
                x, y = place + offset / torch.tensor([width, height])
            else:
                x, y = place[:2] + offset / 3 * place[2:] * 0.5
            x, y = float(x) * width - 0.5, float(y) * height - 0.5
            for j, i in ((0, 0), (0, 1), (1, 0), (1, 1)):
                row, column = int(np.floor(y)) + j, int(np.floor(x)) + i
                if 0 <= row < height and 0 <= column < width:
                    share = (1 - abs(y - row)) * (1 - abs(x - column))
                    heads[query, head] += (
                        weights[query, head, level, point] * share * grid[row, column, head]
                    )
    return attention.output_proj(heads.view(1, 7, 8))


# --- text ----------------------------------------------------------------------------------------
def test_sentences_are_cleaned_as_the_training_data_were():
    said = 'The man-made "boat", (left) moving/turning; isn\'t it? #2: *yes*!.'
    assert clean(said) == "the man made boat left moving turning isnt it 2 yes"


def test_words_become_ids_of_the_vocabulary(model):
    # [CLS] the red dog ##s [SEP], and a word that is not there
    assert model.tokenizer.encode("The red dogs!") == [2, 4, 5, 12, 11, 3]
    assert model.tokenizer.encode("zebra") == [2, 1, 3]
    assert len(model.tokenizer.encode("the " * 400)) == 256


# --- files that are refused ----------------------------------------------------------------------
def test_a_uninext_file_is_recognised_by_its_tensors(folder, tmp_path):
    assert recognises(folder / "r50/model_final.pth")
    torch.save({"weight": torch.ones(2)}, tmp_path / "cutie.pth")
    assert not recognises(tmp_path / "cutie.pth")
    assert recognises(folder / "r50")  # the folder that holds it alone
    torch.save({"weight": torch.ones(2)}, tmp_path / "other.pth")
    assert not recognises(tmp_path)


def refuse(file, match, **options):
    with pytest.raises(InputError, match=match) as error:
        load(file, "cpu", "float32", **options)
    return str(error.value)


def changed(tmp_path, change):
    path = write_checkpoint(tmp_path)
    content = torch.load(path)
    change(content["model"])
    torch.save(content, path)
    return path


def test_another_checkpoint_is_refused_in_one_sentence(tmp_path):
    write_checkpoint(tmp_path)
    torch.save({"key_proj.weight": torch.ones(2)}, tmp_path / "cutie.pth")
    said = refuse(tmp_path / "cutie.pth", "not a UNINEXT checkpoint")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop("detr.mask_head.lay3.bias"), "lay3.bias: is missing"),
        (lambda t: t.update({"detr.more": torch.ones(1)}), "detr.more: is not a tensor"),
        (lambda t: t.update({"detr.mask_head.lay3.bias": torch.ones(3)}), "has shape"),
        (
            lambda t: t.update({
                "detr.detr.transformer.decoder.bbox_embed.0.layers.0.bias": torch.ones(32)
            }),
            "should be the same tensor and differ",
        ),
    ],
)  # fmt: skip
def test_a_tensor_that_does_not_fit_is_named(tmp_path, change, says):
    refuse(changed(tmp_path, change), says)


def test_an_image_model_without_text_is_refused(tmp_path):
    def drop_text(table):
        for key in [key for key in table if key.startswith("text_encoder")]:
            del table[key]

    refuse(changed(tmp_path, drop_text), "word_embeddings.weight is missing")


def test_truncated_and_trapped_files_are_refused(tmp_path):
    path = write_checkpoint(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "\n" not in refuse(path, r"not a whole \.pth file")
    torch.save({"model": random_checkpoint(TINY), "hook": Trap(tmp_path / "written")}, path)
    assert "\n" not in refuse(path, "wants to run")
    assert not (tmp_path / "written").exists()


def test_the_vocabulary_is_looked_for_and_never_fetched(tmp_path):
    path = write_checkpoint(tmp_path / "UNINEXT-R50")
    beside = path.with_name("vocab.txt")
    near = tmp_path / "bert-base-uncased" / "vocab.txt"
    near.parent.mkdir()
    beside.rename(near)
    assert load(path, "cpu").tokenizer.encode("dog") == [2, 12, 3]
    elsewhere = tmp_path / "words.txt"
    near.rename(elsewhere)
    said = refuse(path, "weights fetch bert-base-uncased")
    assert "\n" not in said
    assert str(near) in said
    assert load(path, "cpu", vocabulary=elsewhere).tokenizer.encode("dog") == [2, 12, 3]


@pytest.mark.parametrize(
    ("lines", "says"), [("the\nred\n", "lacks"), ("[PAD]\n[UNK]\n[CLS]\n[SEP]\n", "has 4 tokens")]
)
def test_a_vocabulary_of_another_encoder_is_refused(tmp_path, lines, says):
    path = write_checkpoint(tmp_path)
    (tmp_path / "vocab.txt").write_text(lines)
    refuse(path, says)


@pytest.mark.parametrize("backbone", TINY_BACKBONES)
def test_sizes_are_read_from_the_tensors(backbone):
    config = replace(TINY, backbone=TINY_BACKBONES[backbone])
    shapes = {key: tuple(value.shape) for key, value in random_checkpoint(config).items()}
    assert read_config(shapes, backbone) == config
