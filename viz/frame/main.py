"""The frame around every page: title, style, navigation. The script that app.py serves."""

from pathlib import Path

import streamlit as st

from core import metrics
from viz.pages import learn
from viz.pages.table import PAGES, PageRow

STYLE = Path(__file__).resolve().parents[2] / "assets" / "style.css"
LEARN = PageRow("Learn", "learn", "school", learn.page)  # it links to the others, so it is no row of theirs

st.set_page_config(page_title="Headlight", page_icon="🔦", layout="wide")
st.html(STYLE)
rows = (PAGES[0], LEARN, *PAGES[1:])
chosen = st.navigation([row.page() for row in rows], position="top")
with metrics.request("page", page=chosen.url_path or "explore"):
    chosen.run()
