"""Headlight: what each attention head looks at, and what it costs to remember it. `make run`, or streamlit run app.py."""

import streamlit as st

from viz.pages import explore

st.set_page_config(page_title="Headlight", page_icon="🔦", layout="wide")
PAGES = [
    st.Page(explore.page, title="Explore", icon=":material/visibility:", default=True),
]
st.navigation(PAGES, position="top").run()
