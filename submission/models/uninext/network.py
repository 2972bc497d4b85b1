"""The whole network, laid out from its sizes: tensors in, tensors out.

What depends on the frame alone (`encode_image`) or on the sentence alone (`encode_text`) is apart
from what needs both (`detect`), so that a video's sentences share the one and its frames the other.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from submission.models.meta import parameters_on_meta
from submission.models.uninext.backbones import build_backbone
from submission.models.uninext.config import TEXT_HEAD_WIDTH, UninextConfig
from submission.models.uninext.feature_map import FeatureMaps, lay_out
from submission.models.uninext.fusion import Fusion
from submission.models.uninext.heads import MaskHead, SentenceMatch
from submission.models.uninext.transformer import Decoder, Encoder, Perceptron

GROUPS = 32  # of group normalisation


@dataclass(frozen=True)
class ImageFeatures:
    """One frame, before any sentence: tokens (S, C), where they lie, size in pixels (h, w)."""

    tokens: Tensor
    maps: FeatureMaps
    size: tuple[int, int]


@dataclass(frozen=True)
class Detections:
    """All queries of E sentences on one frame.

    `logits` (how well it fits the sentence) and `ious` (how good its box is) are (E, Q) before the
    sigmoid; `boxes` (E, Q, 4) are centre and size in parts of the image, `centres` (E, Q, 2) where
    the mask head takes a query to be; `queries` is (E, Q, C), `memory` (E, S, C).
    """

    logits: Tensor
    ious: Tensor
    boxes: Tensor
    centres: Tensor
    queries: Tensor
    memory: Tensor

    @property
    def scores(self) -> Tensor:
        """(E, Q), 0 to 1: the geometric mean of the two probabilities."""
        return torch.sqrt(self.logits.sigmoid() * self.ious.sigmoid())


class UninextNetwork(nn.Module):
    """UNINEXT for referring segmentation, one frame at a time."""

    def __init__(self, config: UninextConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.text = BertModel(_bert_config(config), add_pooling_layer=False)
        self.backbone = build_backbone(config)
        channels = [(count, 1) for count in self.backbone.channels]
        channels += [(self.backbone.channels[-1], 3)]  # one more level, made from the coarsest map
        self.project = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(count, width, kernel, kernel // 2 + 1, kernel // 2),
                nn.GroupNorm(GROUPS, width),
            )
            for count, kernel in channels
        )
        self.level_embed = nn.Parameter(torch.empty(config.levels, width))
        self.fusion = Fusion(config)
        self.encoder = Encoder(config)
        self.propose = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width))
        self.objectness = nn.Linear(width, 1)
        self.decoder = Decoder(config)
        self.queries = nn.Embedding(config.queries, width)
        # One for each layer of the decoder, and the last for the first guesses.
        self.movers = nn.ModuleList(
            Perceptron(width, width, width, 4) for _ in range(config.decoder_layers + 1)
        )
        self.match = SentenceMatch(config)
        self.iou = nn.Linear(width, 1)
        self.mask_head = MaskHead(config)

    def encode_text(self, ids: Tensor, real: Tensor) -> Tensor:
        """Token ids (E, L) and which of them are real (E, L) to states (E, L, D)."""
        states: Tensor = self.text(input_ids=ids, attention_mask=real.long()).last_hidden_state
        return states

    def encode_image(self, pixels: Tensor) -> ImageFeatures:
        """One normalised image (3, h, w) to its features."""
        size = (pixels.shape[-2], pixels.shape[-1])
        step = self.backbone.multiple
        right, below = -size[1] % step, -size[0] % step
        padded = F.pad(pixels[None], (0, right, 0, below))
        dtype = next(self.backbone.parameters()).dtype
        maps = [one.float() for one in self.backbone(padded.to(dtype))]
        maps = [layer(one) for layer, one in zip(self.project, [*maps, maps[-1]], strict=True)]
        sizes = tuple((one.shape[-2], one.shape[-1]) for one in maps)
        tokens = torch.cat([one[0].flatten(1).mT for one in maps])
        canvas = (size[0] + below, size[1] + right)
        where = lay_out(sizes, canvas, size, self.config.width, pixels.device)
        return ImageFeatures(tokens, where, size)

    def detect(self, image: ImageFeatures, text: Tensor, real: Tensor) -> Detections:
        """Look for what E sentences mean: text (E, L, D), its real tokens (E, L) bool."""
        maps = image.maps
        lengths = maps.table.prod(1)
        levels = self.level_embed.repeat_interleave(lengths, 0, output_size=len(maps.valid))
        tokens, text = self.fusion(image.tokens.expand(len(text), -1, -1), text, real)
        memory = self.encoder(tokens, maps.positions + levels, maps)
        sentence = (text * real[..., None]).sum(1) / real.sum(1, keepdim=True)
        guesses = self._first_boxes(memory, maps)
        start = self.queries.weight[: guesses.shape[1]].expand(len(text), -1, -1)
        queries, centres, boxes = self.decoder(start, guesses, memory, maps, self.movers)
        return Detections(
            logits=self.match(queries, sentence),
            ious=self.iou(queries)[..., 0],
            boxes=boxes,
            centres=centres[..., :2],
            queries=queries,
            memory=memory,
        )

    def draw(self, image: ImageFeatures, found: Detections, chosen: Tensor) -> Tensor:
        """Mask logits (E, h', w') of one query a sentence, `chosen` (E,); each is 4 x 4 pixels."""
        each = torch.arange(len(chosen), device=chosen.device)
        pixels = torch.tensor(image.size[::-1], device=chosen.device)
        centre = found.centres[each, chosen] * pixels
        features = self.mask_head.features(found.memory, image.maps)
        logits: Tensor = self.mask_head(found.queries[each, chosen], centre, features)
        return logits

    def _first_boxes(self, memory: Tensor, maps: FeatureMaps) -> Tensor:
        """Boxes (E, Q, 4) of the tokens that look most like an object, of whatever kind."""
        guesses = torch.cat([maps.centres, maps.extents], -1)  # (S, 4)
        usable = ((guesses > 0.01) & (guesses < 0.99)).all(-1) & maps.valid
        guesses = torch.where(usable[:, None], torch.log(guesses / (1 - guesses)), torch.inf)
        proposals = self.propose(memory.masked_fill(~usable[:, None], 0))
        count = min(self.config.queries, len(guesses))
        best = self.objectness(proposals)[..., 0].topk(count, dim=1).indices  # (E, Q)
        each = torch.arange(len(memory), device=memory.device)[:, None]
        moved = self.movers[-1](proposals[each, best]) + guesses[best]
        boxes: Tensor = moved.sigmoid()
        return boxes


def _bert_config(config: UninextConfig) -> BertConfig:
    size = config.text
    return BertConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.width,
        num_hidden_layers=size.depth,
        num_attention_heads=size.width // TEXT_HEAD_WIDTH,
        intermediate_size=size.feedforward,
        max_position_embeddings=size.positions,
        type_vocab_size=size.kinds,
    )


def lay_out_network(config: UninextConfig) -> UninextNetwork:
    """Return the network without values."""
    with parameters_on_meta():
        return UninextNetwork(config).eval().requires_grad_(False)
