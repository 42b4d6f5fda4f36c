"""The frame around every page: title, style, navigation. The script that app.py serves."""

import streamlit as st

from headlight.core import ASSETS
from headlight.core.errors import OutOfMemoryError
from headlight.core.overload import with_room
from headlight.core.serving import metrics
from headlight.viz import store
from headlight.viz.pages.learn import page as learn
from headlight.viz.pages.table import PAGES, PageRow
from headlight.viz.ui.visitor import let_in, refused

STYLE = ASSETS / "style.css"
LEARN = PageRow("Learn", "learn", "school", learn.page)  # it links to the others, so it is no row of theirs

st.set_page_config(page_title="Headlight", page_icon="🔦", layout="wide")
st.html(STYLE)
rows = (PAGES[0], LEARN, *PAGES[1:])
chosen = st.navigation([row.page() for row in rows], position="top")
most = store.engine().settings.sessions.open
if let_in(most):
    try:
        with metrics.request("page", page=chosen.url_path or "explore"):
            with_room(chosen.run, store.engine().let_go)
    except OutOfMemoryError as error:
        refused(error, "memory")
else:
    metrics.TURNED_AWAY.labels("pages").inc()
    st.warning(f"{most:,} pages are open, all that this server allows. Try again in a minute.", icon=":material/group:")
    st.button("Try again", key="full_again", icon=":material/refresh:")
