"""The order in which windows are shown: fixed in advance, so that a resumed run goes on with the very same batches."""

import math
import random


def batches(lengths: list[int], batch_size: int, steps: int, seed: int) -> list[list[int]]:
    """`steps` full batches of window numbers: pass after pass over the windows, each pass in another order.

    Within pools of 16 batches windows are grouped by length (less padding) and the batches shuffled again.
    """
    draw = random.Random(seed)
    stream: list[int] = []
    while len(stream) < steps * batch_size:
        one_pass = list(range(len(lengths)))
        draw.shuffle(one_pass)
        stream += one_pass
    stream = stream[: steps * batch_size]
    planned = []
    for at in range(0, len(stream), batch_size * 16):
        pool = sorted(stream[at:at + batch_size * 16], key=lambda n: (lengths[n], n))
        grouped = [pool[cut:cut + batch_size] for cut in range(0, len(pool), batch_size)]
        draw.shuffle(grouped)
        planned += grouped
    return planned


def total_steps(windows: int, batch_size: int, epochs: float, max_steps: int | None) -> int:
    """Steps of `epochs` passes, at least one; `max_steps` counts instead where it is given."""
    return max_steps if max_steps else max(1, math.ceil(windows * epochs / batch_size))
