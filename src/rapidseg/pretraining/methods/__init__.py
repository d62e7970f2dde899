"""Methods of pre-training."""

from rapidseg.pretraining.methods.byol import Byol
from rapidseg.pretraining.methods.instance_discrimination import InstanceDiscrimination, InstanceDiscriminationMethod
from rapidseg.pretraining.methods.method import Method, PretrainingBatch
from rapidseg.pretraining.methods.supervised import Supervised

__all__ = ["Byol", "InstanceDiscrimination", "InstanceDiscriminationMethod", "Method", "PretrainingBatch", "Supervised"]
