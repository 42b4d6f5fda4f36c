"""One page's choices in the session, in the address bar and in its widgets: one `PageState` a page.

The session decides what is shown, but for three moments at which the address bar does: when the session begins, when the
visitor follows a link to the page, and when they press Back or Forward. Streamlit marks the run that answers Back or Forward
and hands it the address, so there is no message of our own that a newer request could overtake. Whatever was under way then,
the last run's choices and the address bar agree: a run ends by writing its choices there unless they are there already, and
the runs after Back or Forward write them in any case, since an address from before may still be on its way to the browser.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, TypedDict, TypeVar, Unpack

import streamlit as st
from streamlit.runtime.scriptrunner_utils.script_run_context import get_script_run_ctx

from headlight.viz.ui.link import Choices, partial_link

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

C = TypeVar("C", bound=Choices)
Take = Callable[[Any], object]  # what a widget's new value is handed to
Width = int | Literal["stretch"]

_PAGE, _TEXT = "page", "sentence"  # session: the page on screen; the sentence that goes along to the next
MOST_LINKED = 200_000  # characters of one value of a link: more than any browser's address bar holds


class Looks(TypedDict, total=False):
    """What every bound widget takes as Streamlit's own does."""

    width: Width
    help: str | None
    disabled: bool
    label_visibility: Literal["visible", "hidden", "collapsed"]


class StepLooks(Looks, total=False):
    """What a slider over a few values takes besides."""

    format_func: Callable[[Any], str]


class MenuLooks(StepLooks, total=False):
    """What a menu takes besides."""

    placeholder: str


class PageState(Generic[C]):
    """One page's choices, their address, and the widgets that are bound to them.

    page: its short name; start: where the page begins, for what a link leaves out; prefix: before its widgets' keys.
    """

    def __init__(self, page: str, kind: type[C], start: Callable[[], C], prefix: str | None = None) -> None:
        self._page, self._kind, self._start = page, kind, start
        self._prefix = f"{page}_" if prefix is None else prefix
        self._view, self._notes, self._owed = f"{page}:view", f"{page}:notes", f"{page}:owed"

    # The session and the address bar

    def read(self) -> tuple[C, list[str]]:
        """The choices to show, with notes on what the link asked for in vain. Once in a run of the page, at its top."""
        came = st.session_state.get(_PAGE) != self._page
        st.session_state[_PAGE] = self._page
        link = st.query_params.to_dict()
        if self._view not in st.session_state or (came and link) or went_back_or_forward():
            self._open(link)
        elif came:
            self._bring_text()
        return self.current(), st.session_state.pop(self._notes, [])

    def write(self, choices: C) -> None:
        """Puts the choices, settled to what exists, into the session and the address bar."""
        st.session_state[self._view] = choices
        st.session_state[_TEXT] = getattr(choices, "text", st.session_state.get(_TEXT))
        self._address(choices)
        st.session_state.pop(self._owed, None)

    def current(self) -> C:
        """The choices of the session, for callbacks and fragments."""
        choices: C = st.session_state[self._view]
        return choices

    def seen(self) -> C | None:
        """The choices that the visitor left the page with; None if they were not there yet."""
        return st.session_state.get(self._view)

    def change(self, **fields: Any) -> None:
        """For callbacks: the choices with some fields replaced, an entry in the browser's history.

        Written before anything is computed for them: who goes back while the answer is under way leaves this entry, not the
        one before it.
        """
        self.advance(**fields)
        self._address(self.current())

    def advance(self, **fields: Any) -> None:
        """The same without an entry in the history."""
        st.session_state[self._view] = replace(self.current(), **fields)  # type: ignore[type-var]

    def link_to(self, **fields: Any) -> dict[str, str]:
        """The parameters of a link that opens the page with these fields. Raises ValueError for one that no link can state."""
        return partial_link(self._kind, fields)

    def _address(self, choices: C) -> None:
        link = choices.link()
        if self._owed in st.session_state or link != st.query_params.to_dict():
            st.query_params.from_dict(link)

    def _open(self, link: Mapping[str, str]) -> None:
        bounded = {name[:MOST_LINKED]: value[:MOST_LINKED] for name, value in link.items()}
        st.session_state[self._view], st.session_state[self._notes] = self._kind.parse(bounded, self._start())
        st.session_state[self._owed] = True

    def _bring_text(self) -> None:
        # The sentence comes along from the page before; what was picked in another one does not.
        text, here = st.session_state.get(_TEXT), self.current()
        if text is not None and getattr(here, "text", text) != text:
            picked = [name for name in ("query", "key") if hasattr(here, name)]
            self.advance(text=text, **dict.fromkeys(picked))

    # Widgets

    def key(self, field: str) -> str:
        """The key of the widget that is bound to a field."""
        return f"{self._prefix}{field}"

    def row(self, name: str) -> DeltaGenerator:
        """A row for controls."""
        return st.container(horizontal=True, vertical_alignment="bottom", key=self.key(f"row_{name}"))

    def mirror(self, widget: str, value: object) -> None:
        """Before a widget is drawn: gives it the value of the choices.

        One that has it already is left alone, so that nobody's typing is overwritten; but not after Back or Forward, where
        what the browser shows may be the value of a request that was given up for them.
        """
        returned = went_back_or_forward() or self._owed in st.session_state
        if returned or st.session_state.get(widget) != value:
            st.session_state[widget] = value

    def slider(
        self, label: str, field: str, value: Any, low: Any, high: Any, take: Take | None = None, step: float | None = None,
        **looks: Unpack[Looks],
    ) -> None:  # fmt: skip
        """A slider; fixed where there is one value only. take: what gets the new value, if not the field."""
        looks["disabled"] = looks.get("disabled", False) or high <= low
        st.slider(label, low, high if high > low else low + 1, step=step, **self._bound(field, value, take), **looks)

    def steps(
        self, label: str, field: str, value: Any, options: Sequence[Any], take: Take | None = None, **looks: Unpack[StepLooks]
    ) -> None:  # fmt: skip
        """A slider over a few values."""
        st.select_slider(label, list(options), **self._bound(field, value, take), **looks)  # type: ignore[call-overload]

    def menu(
        self, label: str, field: str, value: Any, options: Sequence[Any], take: Take | None = None, **looks: Unpack[MenuLooks]
    ) -> None:  # fmt: skip
        """A menu."""
        st.selectbox(label, list(options), **self._bound(field, value, take), **looks)

    def menu_or_none(
        self, label: str, field: str, value: Any, options: Sequence[Any], **looks: Unpack[MenuLooks]
    ) -> None:  # fmt: skip
        """A menu that may be cleared; its field is None then."""
        take = partial(self._take, field)
        st.selectbox(label, list(options), index=None, **self._bound(field, value, take, True), **looks)

    def several(
        self, label: str, field: str, value: Sequence[Any], options: Sequence[Any], most: int, **looks: Unpack[MenuLooks]
    ) -> None:  # fmt: skip
        """A menu of which at most `most` may be chosen; the field is a tuple in the order of choosing."""
        bound = self._bound(field, list(value), lambda chosen: self._take(field, tuple(chosen)))
        st.multiselect(label, list(options), max_selections=most, **bound, **looks)

    def segments(
        self, label: str, field: str, value: Any, titles: Mapping[Any, str], take: Take | None = None, **looks: Unpack[Looks]
    ) -> None:  # fmt: skip
        """A few choices side by side. titles: value -> what is on its button."""
        bound = self._bound(field, value, take)
        st.segmented_control(label, list(titles), format_func=titles.__getitem__, required=True, **bound, **looks)  # type: ignore[call-overload]

    def toggle(self, label: str, field: str, value: bool, **looks: Unpack[Looks]) -> None:
        """A switch."""
        st.toggle(label, **self._bound(field, value), **looks)

    def text(
        self, label: str, field: str, value: str, most: int, take: Take | None = None, place: DeltaGenerator | None = None,
        placeholder: str | None = None, live: bool = False, **looks: Unpack[Looks],
    ) -> None:  # fmt: skip
        """A line of text, of at most `most` characters. live: taken while it is typed. place: the container it goes into."""
        (place or st).text_input(
            label, max_chars=most, placeholder=placeholder, live=live, **self._bound(field, value, take), **looks
        )  # fmt: skip

    def number(
        self, label: str, field: str, value: int, low: int, high: int, take: Take | None = None, **looks: Unpack[Looks]
    ) -> None:  # fmt: skip
        """A box for a whole number."""
        st.number_input(label, low, high, step=1, **self._bound(field, value, take), **looks)

    def _bound(self, field: str, value: object, take: Take | None = None, empty: bool = False) -> dict[str, Any]:
        self.mirror(self.key(field), value)
        return {"key": self.key(field), "on_change": self._taken, "args": (field, take, empty)}

    def _taken(self, field: str, take: Take | None, empty: bool) -> None:
        # A choice that was emptied leaves the field as it is, unless it may be None.
        value = st.session_state[self.key(field)]
        if value is not None or empty:
            (take or partial(self._take, field))(value)

    def _take(self, field: str, value: object) -> None:
        self.change(**{field: value})


def went_back_or_forward() -> bool:
    """Whether this run answers the browser's Back or Forward."""
    context = get_script_run_ctx(suppress_warning=True)
    return context is not None and context.is_history_navigation


def page_on_screen() -> str:
    """The short name of the page that the visitor looks at, "" before there is one."""
    return str(st.session_state.get(_PAGE, ""))


def carried_text(default: str) -> str:
    """The sentence of the page that the visitor comes from, or the default."""
    return str(st.session_state.get(_TEXT) or default)
