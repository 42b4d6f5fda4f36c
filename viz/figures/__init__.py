"""Figures: core's results in, a plotly Figure out; pure, for pages and notebooks alike; never streamlit, never torch."""

from headlight.viz.figures.cache.bars import Bar, memory_bars
from headlight.viz.figures.cache.claim_steps import claim_steps
from headlight.viz.figures.cache.costs import cost_bars, roofline
from headlight.viz.figures.cache.curves import Line, memory_curves
from headlight.viz.figures.cache.held import held_and_reserved, held_growth, step_times
from headlight.viz.figures.compare.maps import difference_map, distance_map, weight_map
from headlight.viz.figures.compare.quality import quality_map
from headlight.viz.figures.compare.surgery import Curve, head_bars, surgery_curve
from headlight.viz.figures.continuation import cache_growth, candidate_bars, continuation_map
from headlight.viz.figures.explore.head_map import head_map
from headlight.viz.figures.explore.head_maps import head_maps
from headlight.viz.figures.explore.survey_map import survey_map
from headlight.viz.figures.mla.flow import flow
from headlight.viz.figures.mla.flow_layout import boxes as flow_boxes
from headlight.viz.figures.mla.form_bars import form_bars
from headlight.viz.figures.mla.tensor_map import tensor_map
from headlight.viz.figures.offline_page import offline_page
from headlight.viz.figures.positions.curves import curves
from headlight.viz.figures.positions.dials import dials
from headlight.viz.figures.positions.maps import dimension_bars, signed_map
from headlight.viz.figures.positions.pairings import pairings
from headlight.viz.figures.token_bars import token_bars

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
