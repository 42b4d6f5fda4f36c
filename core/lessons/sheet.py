"""A lesson's numbers as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

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
