"""Headlight: what each attention head looks at, and what it costs to remember it. `headlight run`, or streamlit run app.py.

The pages are in viz/frame/main.py; here they become a web app: the limits (headlight.toml), our own addresses
(viz/web/routes.py), headers and what is closed (viz/web/security.py), uploads in bounds (viz/web/uploads.py), logs and counters
(core/serving/metrics.py), and an end in peace (viz/web/shutdown.py).
"""

import os
import sys

import streamlit as st
from starlette.middleware import Middleware

# Torch's idle worker threads sleep instead of spinning on the cores that serve the page; read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from headlight.core.errors import ConfigError
from headlight.core.serving import metrics
from headlight.core.settings import read
from headlight.viz.web import FRAME
from headlight.viz.web.routes import routes
from headlight.viz.web.security import Safety
from headlight.viz.web.shutdown import leave_in_peace
from headlight.viz.web.uploads import UploadBounds

metrics.log_lines()
try:
    SETTINGS = read()
    metrics.serve(os.environ.get("HEADLIGHT_METRICS", ""))
except ConfigError as error:  # told at the start, not to the first visitor
    sys.exit(f"Headlight cannot start: {error}")

leave_in_peace()

app = st.App(
    FRAME,
    routes=routes(),
    middleware=[Middleware(Safety), Middleware(UploadBounds, limits=SETTINGS.uploads)],
)
