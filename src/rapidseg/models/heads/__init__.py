"""Heads: from the features of a backbone or neck to logits.

Each takes the channels of all features that come in, and its `forward` takes the features and returns `logits`
(N, K, h, w) at the size of the last of them, with what else training wants beside them.
"""

from rapidseg.models.heads.aspp import AsppHead
from rapidseg.models.heads.base import Head
from rapidseg.models.heads.enc import EncHead
from rapidseg.models.heads.fcn import FcnHead
from rapidseg.models.heads.psp import PspHead

__all__ = ["AsppHead", "EncHead", "FcnHead", "Head", "PspHead"]
