"""DeepLabV3: a dilated ResNet and atrous spatial pyramid pooling.

Chen, Papandreou, Schroff, Adam: Rethinking Atrous Convolution for Semantic Image Segmentation, 2017,
arXiv 1706.05587. The defaults are OpenMMLab's, whose ASPP is wider than the paper's and has no multi-grid at stride 8;
the variant `wuhuikai` is the baseline in the code of FastFCN's authors. `docs/compatibility.md` lists the differences.
"""

from __future__ import annotations

from typing import Literal

from rapidseg.core.labels import LabelSet
from rapidseg.models.encoder_decoder import DilatedOptions, EncoderDecoder
from rapidseg.models.heads import AsppHead
from rapidseg.models.layers import scaled


class DeepLabV3Options(DilatedOptions):
    """Every difference between published DeepLabV3 networks. The defaults are OpenMMLab's.

    Attributes:
        multi_grid: dilations of the three blocks of the backbone's last layer, such as (4, 8, 16) at stride 8, which
            the paper writes as a multi-grid of (1, 2, 4) with rate 4 (section 3.3); None keeps the layer's own.
            ResNet-18, whose last layer has two blocks, allows only None.
        aspp_channels: of each branch.
        aspp_dilations: of the three 3x3 convolutions.
        aspp_pooled_first: concatenate the average first.
        aspp_projection: convolutions after the concatenated branches.
    """

    multi_grid: tuple[int, int, int] | None = None
    aspp_channels: Literal[256, 512] = 512
    aspp_dilations: tuple[int, int, int] = (12, 24, 36)
    aspp_pooled_first: bool = True
    aspp_projection: Literal["3x3", "1x1-3x3"] = "3x3"


VARIANTS: dict[str, DeepLabV3Options] = {
    "openmmlab": DeepLabV3Options(),
    "wuhuikai": DeepLabV3Options(
        stem_width=64,
        align_corners=True,
        aspp_channels=256,
        aspp_pooled_first=False,
        aspp_projection="1x1-3x3",
    ),
}


class DeepLabV3(EncoderDecoder):
    """DeepLabV3 (arXiv 1706.05587, figure 5). Logits are at the backbone's stride."""

    def __init__(self, labels: LabelSet, options: DeepLabV3Options) -> None:
        backbone = options.make_backbone(multi_grid=options.multi_grid)
        head = AsppHead(
            backbone.channels,
            scaled(options.aspp_channels, options.width),
            labels.num_classes,
            dilations=options.aspp_dilations,
            pooled_first=options.aspp_pooled_first,
            projection=options.aspp_projection,
            dropout=options.dropout,
        )
        super().__init__("deeplabv3", labels, options, backbone, None, head)
