"""What the checks of all formats raise."""

from __future__ import annotations


class DamagedImageError(Exception):
    """An image file is damaged or cut off; the message says where, in a few words without the file's name."""
