"""Figures: core's results in, a plotly Figure out; pure, for pages and notebooks alike; never streamlit, never torch."""

from viz.figures.cache_costs import cost_bars, roofline
from viz.figures.cache_held import held_and_reserved, held_growth, step_times
from viz.figures.claim_steps import claim_steps
from viz.figures.compare_maps import difference_map, distance_map, weight_map
from viz.figures.continuation import cache_growth, candidate_bars, continuation_map
from viz.figures.dials import dials
from viz.figures.flow import flow
from viz.figures.flow_layout import boxes as flow_boxes
from viz.figures.form_bars import form_bars
from viz.figures.head_map import head_map
from viz.figures.head_maps import head_maps
from viz.figures.memory_bars import Bar, memory_bars
from viz.figures.memory_curves import Line, memory_curves
from viz.figures.offline_page import offline_page
from viz.figures.pairings import pairings
from viz.figures.position_curves import curves
from viz.figures.position_maps import dimension_bars, signed_map
from viz.figures.quality_map import quality_map
from viz.figures.surgery_maps import Curve, head_bars, surgery_curve
from viz.figures.survey_map import survey_map
from viz.figures.tensor_map import tensor_map
from viz.figures.token_bars import token_bars

__all__ = [
    "Bar",
    "Curve",
    "Line",
    "cache_growth",
    "candidate_bars",
    "claim_steps",
    "continuation_map",
    "cost_bars",
    "curves",
    "dials",
    "difference_map",
    "dimension_bars",
    "distance_map",
    "flow",
    "flow_boxes",
    "form_bars",
    "head_bars",
    "head_map",
    "head_maps",
    "held_and_reserved",
    "held_growth",
    "memory_bars",
    "memory_curves",
    "offline_page",
    "pairings",
    "quality_map",
    "roofline",
    "signed_map",
    "step_times",
    "surgery_curve",
    "survey_map",
    "tensor_map",
    "token_bars",
    "weight_map",
]
