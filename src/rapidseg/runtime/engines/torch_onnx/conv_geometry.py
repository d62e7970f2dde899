"""Where a convolution looks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """Places that a convolution sums over; each pair is of height and width, in pixels.

    Attributes:
        kernel: how many places.
        stride, padding, dilation: as PyTorch has them.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    def out_sides(self, size_hw: tuple[int, int]) -> tuple[int, int]:
        """Returns height and width of what comes out."""
        height, width = (
            (side + 2 * pad - dilate * (taps - 1) - 1) // step + 1
            for side, taps, step, pad, dilate in zip(
                size_hw, self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )
        return height, width

    def constants(self) -> dict[str, int]:
        """Returns all as constants of a Triton kernel: KERNEL_H, KERNEL_W, STRIDE_H and so on."""
        pairs = {"KERNEL": self.kernel, "STRIDE": self.stride, "PADDING": self.padding, "DILATION": self.dilation}
        return {f"{name}_{side}": pair[place] for name, pair in pairs.items() for place, side in enumerate("HW")}
