"""A page run without a browser, by Streamlit's AppTest: opened from a link, seen to be free of errors."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def opened(page: str, **link: str) -> AppTest:
    """The page of a folder of viz/pages ("cache"), run once with that link."""
    app = AppTest.from_string(f"from headlight.viz.pages.{page} import page\n\npage.page()", default_timeout=120)
    for name, value in link.items():
        app.query_params[name] = value
    return app.run()


def fine(app: AppTest) -> AppTest:
    """The same app, after asserting that nothing on it failed and nothing warns."""
    shown = [each.value for each in (*app.exception, *app.error, *app.warning)]
    assert not shown, shown
    return app
