"""How much information each token carries by itself: the table behind the provenance weight (attribution.md C)."""

import math
import struct

SCALE = 1 << 16


def unigram_table(tokens: list[int], vocabulary: int) -> bytes:
    """-log2 p per token id with add-one smoothing, as little-endian u32 in units of 2^-16 bit, rounded half up."""
    counts = [1] * vocabulary
    for token in tokens:
        counts[token] += 1
    total = sum(counts)
    return struct.pack(f"<{vocabulary}I", *(math.floor(-math.log2(c / total) * SCALE + 0.5) for c in counts))
