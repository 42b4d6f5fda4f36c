"""Headlight: what each attention head looks at, and what it costs to remember it. `make run`, or streamlit run app.py.

The pages are in viz/frame/main.py; here they become a web app together with the scripts of their browser-side parts.
"""

import os
import sys
from pathlib import Path

import plotly
import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from viz.components.parts import scripts
from viz.frame.leaving import leave_in_peace

# Torch's idle worker threads sleep instead of spinning on the cores that serve the page; read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from core.errors import ConfigError
from core.settings import read
from viz.uploads import UploadBounds

try:
    SETTINGS = read()
except ConfigError as error:  # told at the start, not to the first visitor
    sys.exit(f"Headlight cannot start: {error}")

PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
SCRIPTS = scripts()

leave_in_peace()


async def script(request: Request) -> Response:
    """One component's script; its address changes with its content."""
    text = SCRIPTS.get(request.path_params["name"])
    if text is None:
        return Response(status_code=404)
    return Response(text, media_type="text/javascript", headers=FOREVER)


async def plotly_js(request: Request) -> Response:
    """plotly.js as the installed plotly package brings it, so that nothing comes from elsewhere."""
    return FileResponse(PLOTLY, media_type="text/javascript", headers={"Cache-Control": "public, max-age=86400"})


app = st.App(
    "viz/frame/main.py",
    routes=[Route("/headlight/plotly.min.js", plotly_js), Route("/headlight/{name}.js", script)],
    middleware=[Middleware(UploadBounds, limits=SETTINGS.uploads)],
)
