"""Pretrained models in another attention variant: converted, then distilled from what they were (`python -m training.distill`).

No part of the app; it needs a corpus, and what it ships lies in assets/variants.
"""
