"""EncNet: a dilated ResNet whose channels are weighted by an encoding of the whole feature map.

Zhang, Dana, Shi, Zhang, Wang, Tyagi, Agrawal: Context Encoding for Semantic Segmentation, CVPR 2018,
arXiv 1803.08904. The defaults are OpenMMLab's; the variant `wuhuikai` is the baseline in the code of FastFCN's
authors, which descends from EncNet's. `docs/compatibility.md` lists the differences.
"""

from __future__ import annotations

from pydantic import model_validator

from rapidseg.core.labels import LabelSet
from rapidseg.models.encoder_decoder import DilatedOptions, EncoderDecoder
from rapidseg.models.heads import EncHead
from rapidseg.models.layers import scaled


class EncNetOptions(DilatedOptions):
    """Every difference between published EncNets. The defaults are OpenMMLab's.

    Attributes:
        lateral: fuse the backbone's second and third layer with the fourth before the encoding; only at stride 8, where
            all three have one size.
        se_branch: for training, predict which classes occur in the image.
    """

    lateral: bool = False
    se_branch: bool = True

    @model_validator(mode="after")
    def _lateral_needs_one_size(self) -> EncNetOptions:
        if self.lateral and self.output_stride != 8:
            raise ValueError("lateral needs output_stride 8, where all its features have one size")
        return self


VARIANTS: dict[str, EncNetOptions] = {
    "openmmlab": EncNetOptions(),
    "wuhuikai": EncNetOptions(stem_width=64, align_corners=True),
}


class EncNet(EncoderDecoder):
    """EncNet (arXiv 1803.08904, figure 2). Logits are at the backbone's stride."""

    def __init__(self, labels: LabelSet, options: EncNetOptions) -> None:
        backbone = options.make_backbone()
        head = EncHead(
            backbone.channels,
            scaled(512, options.width),
            labels.num_classes,
            lateral=options.lateral,
            se_branch=options.se_branch,
            dropout=options.dropout,
        )
        super().__init__("encnet", labels, options, backbone, None, head)
