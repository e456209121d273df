"""How much of each row is its own text, and how much an earlier row holds already (functions/attribution/payout/own-part.ts)."""

import numpy as np

WINDOW = 16  # bytes; the shortest stretch that any payout policy may call evidence
UNIT = 1 << 20
_MULTIPLIER = 0x9E3779B97F4A7C15
_BLOCK = 1 << 22
_PASS_BYTES = 1 << 24


def own_parts(texts: list[bytes]) -> list[int]:
    """Bytes of each row outside every stretch of >= WINDOW bytes that an earlier row holds, over all its bytes; floored,
    units of 2^-20. `texts` in registry order. Windows are compared by a 64-bit hash (a chance collision among n windows:
    n^2 / 2^65); about 20 bytes of memory a byte of text up to 16 MB, 6 beyond: windows are then taken by hash in passes."""
    data = np.frombuffer(b"".join(texts) + bytes(WINDOW), dtype=np.uint8)
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(texts) else 0
    held = np.zeros(total + 1, dtype=bool)  # windows that an earlier row holds, by where they start
    passes = max(1, -(-total // _PASS_BYTES))
    for number in range(passes):
        _mark_held(data, ends, total, held, passes, number)
    sums = np.concatenate([[0], np.cumsum(held[:total], dtype=np.int32)])
    at = np.arange(total)
    covered = np.concatenate([[0], np.cumsum(sums[at + 1] > sums[np.maximum(0, at + 1 - WINDOW)], dtype=np.int64)])
    starts = ends - lengths
    return [UNIT if n == 0 else int((n - (covered[b] - covered[a])) * UNIT // n)
            for n, a, b in zip(lengths.tolist(), starts.tolist(), ends.tolist())]


def _mark_held(data: np.ndarray, ends: np.ndarray, total: int, held: np.ndarray, passes: int, number: int) -> None:
    hashes, places = [], []
    for start in range(0, total, _BLOCK):
        count = min(_BLOCK, total - start)
        h = _window_hashes(data[start : start + count + WINDOW - 1])
        at = np.arange(start, start + count)
        inside = at + WINDOW <= ends[np.searchsorted(ends, at, side="right")]
        if passes > 1:
            inside &= (h >> np.uint64(40)) % np.uint64(passes) == np.uint64(number)
        hashes.append(h[inside])
        places.append(at[inside])
    h, at = np.concatenate(hashes or [np.zeros(0, np.uint64)]), np.concatenate(places or [np.zeros(0, np.int64)])
    if not len(h):
        return
    order = np.argsort(h)
    h, at = h[order], at[order]
    row = np.searchsorted(ends, at, side="right")
    fresh = np.concatenate([[True], h[1:] != h[:-1]])
    first = np.minimum.reduceat(row, np.flatnonzero(fresh))[np.cumsum(fresh) - 1]
    held[at[row > first]] = True


def _window_hashes(data: np.ndarray) -> np.ndarray:
    """Polynomial hash mod 2^64 of each WINDOW bytes, by doubling."""
    h, width, factor = data.astype(np.uint64) + np.uint64(1), 1, _MULTIPLIER
    while width < WINDOW:
        h = h[:-width] * np.uint64(factor) + h[width:]
        width, factor = width * 2, factor * factor % (1 << 64)
    return h


def registry_order(records: list[dict]) -> list[int]:
    """Places of the records by `sequence` where all have one, else as they come."""
    if all(isinstance(record.get("sequence"), int) for record in records):
        return sorted(range(len(records)), key=lambda i: records[i]["sequence"])
    return list(range(len(records)))


def own_parts_of(records: list[dict]) -> list[int]:
    """Own part of each record by its text (prompt and completion where it has no text); tokens alone are their own."""
    text = lambda r: r["text"] if isinstance(r.get("text"), str) else f"{r.get('prompt') or ''}{r.get('completion') or ''}"
    order = registry_order(records)
    found = own_parts([text(records[i]).encode() for i in order])
    return [part for _, part in sorted(zip(order, found))]
