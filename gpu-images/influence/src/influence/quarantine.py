"""Rows with extreme self-influence earn nothing until somebody looks at them (attribution.md C)."""

import numpy as np

LEAST_ROWS = 64


def quarantined(self_influence: list[float]) -> list[int]:
    """Places of rows whose self-influence lies beyond Tukey's outer fence (Exploratory Data Analysis, 1977: upper
    quartile + 3 interquartile ranges), on a log scale. Rows in registry order. A row is held against the rows up to the
    end of its block (blocks double: 64, 128, 256, ...), so what is registered later cannot put an earlier row away.
    """
    values = np.asarray(self_influence, dtype=np.float64)
    usable = np.isfinite(values) & (values > 0)
    logs = np.log(np.where(usable, values, 1.0))
    found: list[int] = []
    start, end = 0, LEAST_ROWS
    while start < len(values):
        known = logs[:end][usable[:end]]
        if len(known) >= 4:
            low, high = np.quantile(known, [0.25, 0.75])
            beyond = usable[start:end] & (logs[start:end] > high + 3 * (high - low))
            found += (start + np.flatnonzero(beyond)).tolist()
        start, end = end, end * 2
    return found
