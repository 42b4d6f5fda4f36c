"""Conversions of trained attention to variants that cache less, one a file; imports torch and nothing of the user interface."""

from headlight.core.surgery.base import Conversion, Converted, Prepared, TrainedLayer
from headlight.core.surgery.conversions.aligned import Aligned
from headlight.core.surgery.conversions.decouple import Decouple
from headlight.core.surgery.conversions.first_head import FirstHead
from headlight.core.surgery.conversions.fresh_heads import FreshHeads
from headlight.core.surgery.conversions.joint_svd import JointSVD
from headlight.core.surgery.conversions.mean_pooling import MeanPooling
from headlight.core.surgery.conversions.random_head import RandomHead
from headlight.core.surgery.conversions.repetition import Repetition
from headlight.core.surgery.conversions.weighted_svd import WeightedSVD

__all__ = [
    "Aligned",
    "Conversion",
    "Converted",
    "Decouple",
    "FirstHead",
    "FreshHeads",
    "JointSVD",
    "MeanPooling",
    "Prepared",
    "RandomHead",
    "Repetition",
    "TrainedLayer",
    "WeightedSVD",
]
