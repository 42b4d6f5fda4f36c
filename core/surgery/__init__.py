"""Conversions of trained attention to variants that cache less, one a file; imports torch and nothing of the user interface."""

from core.surgery.aligned import Aligned
from core.surgery.base import Conversion, Converted, Layer, Prepared
from core.surgery.decouple import Decouple
from core.surgery.first_head import FirstHead
from core.surgery.fresh_heads import FreshHeads
from core.surgery.joint_svd import JointSVD
from core.surgery.mean_pooling import MeanPooling
from core.surgery.random_head import RandomHead
from core.surgery.repetition import Repetition
from core.surgery.weighted_svd import WeightedSVD

__all__ = [
    "Aligned",
    "Conversion",
    "Converted",
    "Decouple",
    "FirstHead",
    "FreshHeads",
    "JointSVD",
    "Layer",
    "MeanPooling",
    "Prepared",
    "RandomHead",
    "Repetition",
    "WeightedSVD",
]
