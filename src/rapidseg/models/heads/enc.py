"""The head of EncNet: channels weighted by an encoding of the whole map.

Zhang, Dana, Shi, Zhang, Wang, Tyagi, Agrawal: Context Encoding for Semantic Segmentation, CVPR 2018,
arXiv 1803.08904 (section 3). The encoding layer is that of Deep TEN (Zhang, Xue, Dana, CVPR 2017, arXiv 1612.02844).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rapidseg.models.heads.head import Head
from rapidseg.models.layers import ConvNormAct

NUM_CODES = 32  # arXiv 1803.08904, section 4


class Encoding(nn.Module):
    """Encodes a map as its residuals to learned codewords, each pixel weighted by its distance to the codewords.

    With the codewords c_k, their scales s_k and the pixels x_i (arXiv 1803.08904, equation 1):
    e_k = sum over i of softmax over k (s_k |x_i - c_k|^2) (x_i - c_k). The scales are learned with their sign, as in
    all published code, and start between -1 and 0.
    """

    def __init__(self, channels: int, num_codes: int = NUM_CODES) -> None:
        super().__init__()
        limit = (num_codes * channels) ** -0.5
        self.codewords = nn.Parameter(torch.empty(num_codes, channels).uniform_(-limit, limit))
        self.scale = nn.Parameter(torch.empty(num_codes).uniform_(-1, 0))

    def forward(self, x: Tensor) -> Tensor:
        """Returns (N, codes, C) float32 residuals of an (N, C, H, W) map.

        The squares and sums over all channels and pixels are computed in float32, under autocast too.
        """
        device = x.device.type
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                return self._residuals(x.float())
        return self._residuals(x)

    def _residuals(self, x: Tensor) -> Tensor:
        # Expanded, because the (N, H W, codes, C) residuals of a large image would take gigabytes:
        # |x - c|^2 = |x|^2 - 2 c x + |c|^2, each term (N, codes, H W) or broadcast to it.
        pixels = x.flatten(2)
        distances = pixels.square().sum(1, keepdim=True) - 2 * (self.codewords @ pixels)
        distances = distances + self.codewords.square().sum(1, keepdim=True)
        weights = F.softmax(self.scale[:, None] * distances, dim=1)
        return weights @ pixels.transpose(1, 2) - weights.sum(2, keepdim=True) * self.codewords


class EncHead(Head):
    """Reduces the channels, weights them by the encoding of the map, and classifies.

    The branch for the semantic encoding loss (SE loss) predicts from the encoding alone which classes occur in the
    image; only training uses it.

    Args:
        in_channels: channels of each feature, finest first; the last feature is encoded.
        channels: between the first convolution and the classifier.
        num_classes: number of classes K.
        kernel_size: of the first convolution.
        lateral: fuse the two features before the last one, which must have its size.
        se_branch: add the branch for the SE loss.
        dropout: before the classifier.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int,
        num_classes: int,
        *,
        kernel_size: Literal[1, 3] = 3,
        lateral: bool = False,
        se_branch: bool = True,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(channels, num_classes, dropout=dropout)
        self.reduce = ConvNormAct(in_channels[-1], channels, kernel_size)
        self.laterals = nn.ModuleList()
        self.fusion: nn.Module | None = None
        if lateral:
            self.laterals.extend(ConvNormAct(count, channels, 1) for count in in_channels[-3:-1])
            self.fusion = ConvNormAct(channels * 3, channels, 3)
        self.encoded = ConvNormAct(channels, channels, 1)
        self.encoding = Encoding(channels)
        self.encoding_norm = nn.BatchNorm1d(NUM_CODES)
        self.gate = nn.Linear(channels, channels)
        self.se_branch = nn.Linear(channels, num_classes) if se_branch else None

    def forward_features(self, features: Sequence[Tensor]) -> Tensor:
        return self._encode(features)[0]

    def forward_all(self, features: Sequence[Tensor]) -> dict[str, Tensor]:
        """Returns `logits` and, with the SE branch, `se_logits` (N, K): positive if a class occurs in the image."""
        x, encoding = self._encode(features)
        outputs = {"logits": self.classify(x)}
        if self.se_branch is not None:
            outputs["se_logits"] = self.se_branch(encoding)
        return outputs

    def _encode(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Returns the weighted map, (N, C, h, w), and the encoding, (N, C)."""
        x = self.reduce(features[-1])
        if self.fusion is not None:
            laterals = [conv(feature) for conv, feature in zip(self.laterals, features[-3:-1], strict=True)]
            x = self.fusion(torch.cat([x, *laterals], dim=1))
        encoding = F.relu(self.encoding_norm(self.encoding(self.encoded(x)))).mean(1)
        gate = torch.sigmoid(self.gate(encoding))
        return F.relu(x + x * gate[:, :, None, None]), encoding
