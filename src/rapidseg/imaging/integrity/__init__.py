"""Whether the bytes of an image file are complete and undamaged, beyond what decoders report.

Decoders fill what is missing with gray or black and go on. `check_content` looks at what they would only warn about, or
not mention: checksums, end markers, and whether the compressed data is as long as the picture needs.
"""

from rapidseg.imaging.integrity.content import DamagedImageError, check_content
from rapidseg.imaging.integrity.tiff import check_tiff
from rapidseg.imaging.integrity.webp import HEADER_BYTES, webp_size_hw

__all__ = ["HEADER_BYTES", "DamagedImageError", "check_content", "check_tiff", "webp_size_hw"]
