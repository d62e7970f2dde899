"""Heads: from the features of a backbone or neck to logits.

Each is built for the channels of all input features. `forward` returns `logits` (N, K, h, w) at the size of the last
feature; `forward_all` also returns the outputs that only training uses.
"""

from rapidseg.models.heads.aspp import AsppHead
from rapidseg.models.heads.enc import EncHead
from rapidseg.models.heads.fcn import FcnHead
from rapidseg.models.heads.head import Head
from rapidseg.models.heads.psp import PspHead

__all__ = ["AsppHead", "EncHead", "FcnHead", "Head", "PspHead"]
