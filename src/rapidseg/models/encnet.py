"""EncNet: a dilated ResNet and channels weighed by an encoding of the whole map.

Zhang, Dana, Shi, Zhang, Wang, Tyagi, Agrawal: Context Encoding for Semantic Segmentation, CVPR 2018,
arXiv 1803.08904. The defaults are OpenMMLab's; the variant `wuhuikai` is the baseline in the code of FastFCN's
authors, which descends from that of EncNet's. `docs/compatibility.md` lists the differences.
"""

from __future__ import annotations

from pydantic import model_validator

from rapidseg.core.labels import LabelSet
from rapidseg.models.encoder_decoder import DilatedOptions, EncoderDecoder
from rapidseg.models.heads import EncHead
from rapidseg.models.layers import scaled


class EncNetOptions(DilatedOptions):
    """Everything in which published EncNets differ. The defaults are OpenMMLab's.

    Attributes:
        lateral: join the backbone's second and third layer to the fourth before the encoding; only at stride 8, where
            all three are equally large.
        se_branch: say for training which classes are in the image.
    """

    lateral: bool = False
    se_branch: bool = True

    @model_validator(mode="after")
    def _lateral_needs_equal_sizes(self) -> EncNetOptions:
        if self.lateral and self.output_stride != 8:
            raise ValueError("lateral needs output_stride 8: its features must be equally large")
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
