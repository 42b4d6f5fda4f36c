"""Numbers as CSV: a tensor, or rows of any kind."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from torch import Tensor


def to_csv(values: Tensor, columns: Sequence[object], corner: str) -> str:
    """A row an entry of the first axis, numbered from 0; columns: headings; NaN is an empty cell.

    >>> import torch
    >>> print(to_csv(torch.tensor([[1.0, 0.25], [float("nan"), 3.0]]), ["sin", "cos"], "position"))
    position,sin,cos
    0,1,0.25
    1,,3
    <BLANKLINE>
    """
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\n")
    writer.writerow([corner, *columns])
    for number, row in enumerate(values.tolist()):
        writer.writerow([number, *("" if value != value else f"{value:.10g}" for value in row)])
    return sheet.getvalue()


def rows_to_csv(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows of words and numbers under their headings; floats to ten digits.

    >>> print(rows_to_csv(["model", "bytes"], [["MLA, absorbed", 576], ["MHA", 0.1 + 0.2]]))
    model,bytes
    "MLA, absorbed",576
    MHA,0.3
    <BLANKLINE>
    """
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\n")
    writer.writerow(headings)
    for row in rows:
        writer.writerow([f"{value:.10g}" if isinstance(value, float) else value for value in row])
    return sheet.getvalue()
