"""Numbers as CSV: a tensor, or rows of any kind."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from torch import Tensor


def sheet(headings: Sequence[object], rows: Iterable[Sequence[object]], end: str = "\n") -> str:
    r"""Rows under their headings, every cell as `str` gives it; end: what ends a line ("\r\n" is the standard's).

    >>> sheet(["token", "weight"], [["a, b", 0.25]])
    'token,weight\n"a, b",0.25\n'
    """
    written = io.StringIO()
    writer = csv.writer(written, lineterminator=end)
    writer.writerow(headings)
    writer.writerows(rows)
    return written.getvalue()


def to_csv(values: Tensor, columns: Sequence[object], corner: str) -> str:
    """A row an entry of the first axis, numbered from 0; columns: headings; NaN is an empty cell.

    >>> import torch
    >>> print(to_csv(torch.tensor([[1.0, 0.25], [float("nan"), 3.0]]), ["sin", "cos"], "position"))
    position,sin,cos
    0,1,0.25
    1,,3
    <BLANKLINE>
    """
    cells = (("" if value != value else f"{value:.10g}" for value in row) for row in values.tolist())
    return sheet([corner, *columns], ([number, *row] for number, row in enumerate(cells)))


def rows_to_csv(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows of words and numbers under their headings; floats to ten digits.

    >>> print(rows_to_csv(["model", "bytes"], [["MLA, absorbed", 576], ["MHA", 0.1 + 0.2]]))
    model,bytes
    "MLA, absorbed",576
    MHA,0.3
    <BLANKLINE>
    """
    return sheet(headings, ([f"{v:.10g}" if isinstance(v, float) else v for v in row] for row in rows))
