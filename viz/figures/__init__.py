"""Figures: core's results in, a plotly Figure out; pure, for pages and notebooks alike; never streamlit, never torch."""

from viz.figures.compare_maps import difference_map, distance_map, weight_map
from viz.figures.continuation import cache_growth, candidate_bars, continuation_map
from viz.figures.dials import dials
from viz.figures.head_map import head_map
from viz.figures.head_maps import head_maps
from viz.figures.offline_page import offline_page
from viz.figures.pairings import pairings
from viz.figures.position_curves import curves
from viz.figures.position_maps import dimension_bars, signed_map
from viz.figures.quality_map import quality_map
from viz.figures.surgery_maps import Curve, head_bars, surgery_curve
from viz.figures.survey_map import survey_map

__all__ = [
    "Curve",
    "cache_growth",
    "candidate_bars",
    "continuation_map",
    "curves",
    "dials",
    "difference_map",
    "dimension_bars",
    "distance_map",
    "head_bars",
    "head_map",
    "head_maps",
    "offline_page",
    "pairings",
    "quality_map",
    "signed_map",
    "surgery_curve",
    "survey_map",
    "weight_map",
]
