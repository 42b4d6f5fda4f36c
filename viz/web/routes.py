"""What we serve ourselves: the components' scripts, plotly.js, the preview's picture, and each page's first HTML."""

from __future__ import annotations

from pathlib import Path

import plotly
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from headlight.core import ASSETS
from headlight.viz.components.parts import scripts
from headlight.viz.web.base_url import base_path
from headlight.viz.web.preview import PICTURE, TOLD, front

PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
PREVIEW = ASSETS / "preview.png"
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
A_DAY = {"Cache-Control": "public, max-age=86400"}
SCRIPTS = scripts()


async def script(request: Request) -> Response:
    """One component's script; its address changes with its content."""
    text = SCRIPTS.get(request.path_params["name"])
    if text is None:
        return Response(status_code=404)
    return Response(text, media_type="text/javascript", headers=FOREVER)


async def plotly_js(request: Request) -> Response:
    """plotly.js as the installed plotly package brings it, so that nothing comes from elsewhere."""
    return FileResponse(PLOTLY, media_type="text/javascript", headers=A_DAY)


async def preview(request: Request) -> Response:
    """The picture beside a shared link."""
    return FileResponse(PREVIEW, media_type="image/png", headers=A_DAY)


def routes() -> list[Route]:
    """All of them, below server.baseUrlPath."""
    base = base_path()
    return [
        Route(f"{base}/headlight/plotly.min.js", plotly_js),
        Route(f"{base}/headlight/{{name}}.js", script),
        Route(f"{base}/{PICTURE}", preview),
        Route(f"{base}/", front),
        *(Route(f"{base}/{path}", front, name=path) for path in TOLD if path),
    ]
