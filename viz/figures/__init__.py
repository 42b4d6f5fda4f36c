"""Figures: core's results in, a plotly Figure out; pure, for pages and notebooks alike; never streamlit, never torch."""

from viz.figures.compare_maps import difference_map, distance_map, weight_map
from viz.figures.head_map import head_map
from viz.figures.head_maps import head_maps
from viz.figures.offline_page import offline_page
from viz.figures.quality_map import quality_map
from viz.figures.survey_map import survey_map

__all__ = [
    "difference_map",
    "distance_map",
    "head_map",
    "head_maps",
    "offline_page",
    "quality_map",
    "survey_map",
    "weight_map",
]
