"""Streamlit pages, one a file: widgets in, core's results through viz/figures out; never torch, numpy or plotly here."""
