"""PSPNet: a dilated ResNet and pyramid pooling.

Zhao, Shi, Qi, Wang, Jia: Pyramid Scene Parsing Network, CVPR 2017, arXiv 1612.01105. The defaults are OpenMMLab's; the
variant `wuhuikai` is the baseline in the code of FastFCN's authors. `docs/compatibility.md` lists the differences.
"""

from __future__ import annotations

from rapidseg.core.labels import LabelSet
from rapidseg.models.encoder_decoder import DilatedOptions, EncoderDecoder
from rapidseg.models.heads import PspHead
from rapidseg.models.layers import scaled


class PspNetOptions(DilatedOptions):
    """The options of dilated ResNets, in which published PSPNets differ. The defaults are OpenMMLab's."""


VARIANTS: dict[str, PspNetOptions] = {
    "openmmlab": PspNetOptions(),
    "wuhuikai": PspNetOptions(stem_width=64, align_corners=True),
}


class PspNet(EncoderDecoder):
    """PSPNet (arXiv 1612.01105, figure 3). Logits are at the backbone's stride."""

    def __init__(self, labels: LabelSet, options: PspNetOptions) -> None:
        backbone = options.make_backbone()
        head = PspHead(
            backbone.channels,
            scaled(512, options.width),
            labels.num_classes,
            dropout=options.dropout,
            align_corners=options.align_corners,
        )
        super().__init__("pspnet", labels, options, backbone, None, head)
