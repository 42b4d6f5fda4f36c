"""Headlight: what each attention head looks at, and what it costs to remember it. `make run`, or streamlit run app.py.

The pages are in viz/frame/main.py; here they become a web app: our own addresses (viz/web/routes.py), headers and what is
closed (viz/web/safety.py), logs and counters (core/metrics.py).
"""

import os

import streamlit as st
from starlette.middleware import Middleware

from core import metrics
from viz.web.routes import routes
from viz.web.safety import Safety

# Torch's idle worker threads sleep instead of spinning on the cores that serve the page; read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

metrics.log_lines()
metrics.serve(os.environ.get("HEADLIGHT_METRICS", ""))

app = st.App("viz/frame/main.py", routes=routes(), middleware=[Middleware(Safety)])
