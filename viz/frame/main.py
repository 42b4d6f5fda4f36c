"""The frame around every page: title, style, navigation (one row a page). The script that app.py serves."""

from pathlib import Path

import streamlit as st

from viz.pages import compare, explore, long, positions, quality, watch

STYLE = Path(__file__).resolve().parents[2] / "assets" / "style.css"
PAGES = [
    st.Page(explore.page, title="Explore", icon=":material/visibility:", default=True),
    st.Page(compare.page, title="Compare", icon=":material/compare:", url_path="compare"),
    st.Page(watch.page, title="Watch it think", icon=":material/play_circle:", url_path="watch"),
    st.Page(long.page, title="Long texts", icon=":material/menu_book:", url_path="long"),
    st.Page(positions.page, title="Positions", icon=":material/explore:", url_path="positions"),
    st.Page(quality.page, title="Quality", icon=":material/balance:", url_path="quality"),
]

st.set_page_config(page_title="Headlight", page_icon="🔦", layout="wide")
st.html(STYLE)
st.navigation(PAGES, position="top").run()
