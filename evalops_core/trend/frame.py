"""The trend as a pandas frame: scheduled, completed runs only, newest first.

What belongs here: the columns' types in pandas. What does not: their meaning (columns), reading (store.history).
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from evalops_core.trend.columns import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

    from evalops_core.trend.history import TrendRow

__all__ = ["COLUMNS", "dtype_of", "trend_frame"]

_KINDS: Final = {
    "datetime64[us, UTC]": ("window_start", "window_end", "created_at", "finished_at"),
    "Int64": ("eval_run_id", "n", "n_unscored", "baseline_run_id", "incident_id"),
    "float64": ("score", "se", "ci_low", "ci_high", "coverage", "delta", "mean_7", "reference", "cost_usd"),
}
_DTYPES: Final = {name: dtype for dtype, names in _KINDS.items() for name in names}


def dtype_of(column: str) -> str:
    """The type of one of `COLUMNS`."""
    return _DTYPES.get(column, "string")


def trend_frame(rows: "Sequence[TrendRow]") -> "pd.DataFrame":
    """One line a run with the columns of `COLUMNS`, of the same types however many rows there are.

    Times are `datetime64[us, UTC]`, ids and counts nullable `Int64`, other numbers `float64` (missing is NaN), all else
    `string`.
    """
    import pandas as pd  # takes half a second, which processes that only load definitions need not spend

    return pd.DataFrame({name: _column(rows, name) for name in COLUMNS})


def _column(rows: "Sequence[TrendRow]", name: str) -> "pd.Series":
    import pandas as pd

    values = [getattr(row, name) for row in rows]
    plain = [float(value) if isinstance(value, Decimal) else value for value in values]
    return pd.Series(plain, dtype=dtype_of(name))
