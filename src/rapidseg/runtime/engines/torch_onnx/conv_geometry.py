"""The geometry of a convolution: which input pixels each output pixel reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ConvGeometry:
    """Kernel size, stride, padding and dilation of a convolution, as in PyTorch; pairs of height and width, in pixels.

    Attributes:
        kernel: number of taps.
        stride, padding, dilation: as in `torch.nn.Conv2d`.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    def output_size(self, size_hw: tuple[int, int]) -> tuple[int, int]:
        """Returns height and width of the output for an input of `size_hw`."""
        height, width = (
            (side + 2 * pad - dilate * (taps - 1) - 1) // step + 1
            for side, taps, step, pad, dilate in zip(
                size_hw, self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )
        return height, width

    def constants(self) -> dict[str, int]:
        """Returns the constants of a Triton kernel: KERNEL_H, KERNEL_W, STRIDE_H and so on."""
        pairs = {"KERNEL": self.kernel, "STRIDE": self.stride, "PADDING": self.padding, "DILATION": self.dilation}
        return {f"{name}_{axis}": pair[index] for name, pair in pairs.items() for index, axis in enumerate("HW")}
