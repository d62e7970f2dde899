"""FastFCN: a ResNet without dilation, joint pyramid upsampling to 1/8 of the image, and one of four heads.

Wu, Zhang, Huang, Liang, Yu: FastFCN: Rethinking Dilated Convolution in the Backbone for Semantic Segmentation, 2019,
arXiv 1903.11816. The authors' code is wuhuikai/FastFCN. OpenMMLab's implementation differs in details, each of which
is an option here. `docs/compatibility.md` lists them with their sources.
"""

from __future__ import annotations

from typing import Literal

from rapidseg.core.labels import LabelSet
from rapidseg.models.encoder_decoder import EncoderDecoder, EncoderDecoderOptions
from rapidseg.models.heads import AsppHead, EncHead, FcnHead, Head, PspHead
from rapidseg.models.jpu import Jpu, JpuX
from rapidseg.models.layers import scaled
from rapidseg.models.resnet import DILATIONS, ResNet


class FastFcnOptions(EncoderDecoderOptions):
    """Every difference between published FastFCN networks. The defaults are the authors'.

    Attributes:
        dilated: layer3 and layer4 of the backbone dilate by 2 and 4 although they also halve the size, as in
            OpenMMLab's configurations; the paper uses no dilation (section 3.1).
        neck: `jpu`, the paper's, or `jpu_x`, a later variant of the authors.
        deep_first: JPU concatenates the coarsest feature first.
        head: `fcn`, `psp` (PSPNet), `aspp` (DeepLabV3) or `enc` (EncNet).
        aspp_channels: of each branch of the ASPP head.
        aspp_pooled_first: the ASPP head concatenates the average first.
        aspp_projection: convolutions after the concatenated branches of the ASPP head.
        enc_kernel_size: of the Enc head's first convolution.
        se_branch: for training, the Enc head predicts which classes occur in the image; other heads have no such
            branch.
    """

    stem_width: Literal[32, 64] = 64
    align_corners: bool = True
    dilated: bool = False
    neck: Literal["jpu", "jpu_x"] = "jpu"
    deep_first: bool = True
    head: Literal["fcn", "psp", "aspp", "enc"] = "enc"
    aspp_channels: Literal[256, 512] = 256
    aspp_pooled_first: bool = False
    aspp_projection: Literal["3x3", "1x1-3x3"] = "1x1-3x3"
    enc_kernel_size: Literal[1, 3] = 1
    se_branch: bool = True


VARIANTS: dict[str, FastFcnOptions] = {
    "wuhuikai": FastFcnOptions(),
    "openmmlab": FastFcnOptions(
        stem_width=32,
        align_corners=False,
        dilated=True,
        deep_first=False,
        aspp_channels=512,
        aspp_pooled_first=True,
        aspp_projection="3x3",
        enc_kernel_size=3,
    ),
}


class FastFcn(EncoderDecoder):
    """FastFCN (arXiv 1903.11816, figure 2). Logits are at 1/8 of the image, those of the auxiliary head at 1/16."""

    def __init__(self, labels: LabelSet, options: FastFcnOptions) -> None:
        backbone = ResNet(
            options.backbone,
            stem=options.stem,
            stem_width=options.stem_width,
            dilations=DILATIONS[8] if options.dilated else None,
            width=options.width,
        )
        channels = scaled(512, options.width)
        neck: Jpu | JpuX
        if options.neck == "jpu_x":
            neck = JpuX(backbone.channels, backbone.strides, channels, align_corners=options.align_corners)
        else:
            neck = Jpu(
                backbone.channels,
                backbone.strides,
                channels,
                deep_first=options.deep_first,
                align_corners=options.align_corners,
            )
        super().__init__("fastfcn", labels, options, backbone, neck, _make_head(neck.channels, labels, options))


def _make_head(in_channels: tuple[int, ...], labels: LabelSet, options: FastFcnOptions) -> Head:
    channels, num_classes, dropout = scaled(512, options.width), labels.num_classes, options.dropout
    if options.head == "fcn":
        return FcnHead(in_channels, channels, num_classes, dropout=dropout)
    if options.head == "psp":
        return PspHead(in_channels, channels, num_classes, dropout=dropout, align_corners=options.align_corners)
    if options.head == "aspp":
        return AsppHead(
            in_channels,
            scaled(options.aspp_channels, options.width),
            num_classes,
            pooled_first=options.aspp_pooled_first,
            projection=options.aspp_projection,
            dropout=dropout,
        )
    return EncHead(
        in_channels,
        channels,
        num_classes,
        kernel_size=options.enc_kernel_size,
        se_branch=options.se_branch,
        dropout=dropout,
    )
