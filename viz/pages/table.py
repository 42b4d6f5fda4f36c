"""The pages a visitor can open, one row each, and links from one to another in a given state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from headlight.viz.pages.about import page as about
from headlight.viz.pages.cache import page as cache
from headlight.viz.pages.compare import page as compare
from headlight.viz.pages.explore import page as explore
from headlight.viz.pages.long import page as long
from headlight.viz.pages.mla import page as mla
from headlight.viz.pages.positions import page as positions
from headlight.viz.pages.quality import page as quality
from headlight.viz.pages.surgery import page as surgery
from headlight.viz.pages.watch import page as watch


@dataclass(frozen=True)
class PageRow:
    """title: in the navigation; path: below the app's address, "" for the first page; icon: a Material symbol."""

    title: str
    path: str
    icon: str
    draw: Callable[[], None]

    def page(self) -> Any:
        """Streamlit's page, the same one however often it is asked for."""
        return st.Page(
            self.draw, title=self.title, icon=f":material/{self.icon}:", url_path=self.path, default=not self.path
        )


PAGES = (
    PageRow("Explore", "", "visibility", explore.page),
    PageRow("Compare", "compare", "compare", compare.page),
    PageRow("Watch it think", "watch", "play_circle", watch.page),
    PageRow("Positions", "positions", "explore", positions.page),
    PageRow("KV cache", "cache", "memory", cache.page),
    PageRow("Inside MLA", "mla", "account_tree", mla.page),
    PageRow("Surgery", "surgery", "content_cut", surgery.page),
    PageRow("Long texts", "long", "menu_book", long.page),
    PageRow("Quality", "quality", "balance", quality.page),
    PageRow("About", "about", "info", about.page),
)


def open_in(path: str, label: str, link: dict[str, str]) -> None:
    """A link that opens another page in the state that `link` spells; path: of a row of PAGES."""
    row = next(row for row in PAGES if row.path == path)
    st.page_link(row.page(), label=label, icon=f":material/{row.icon}:", query_params=link)
