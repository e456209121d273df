"""N >= 2,400 rows, where the stored components are far from full rank: what storing them costs."""

from dataclasses import replace
from pathlib import Path

from .draw import FROZEN, judge
from .ground_truth import measure
from .measure import paired
from .scorers import Gradients, stored
from .task import TOKENS, Protocol
from .world import World

ROWS_EACH = 200


def large_protocol(protocol: Protocol, quick: bool) -> Protocol:
    """One pass of the rows in the quick form, else as many as the small draw makes; no peers, no new seeds. All queries
    count: the ratio of two close figures needs them."""
    steps = 160 if quick else protocol.steps * ROWS_EACH // protocol.rows_each
    asked = protocol.queries_each + protocol.more_each
    return replace(protocol, rows_each=ROWS_EACH, queries_each=asked, more_each=0, steps=steps,
                   subsets=16 if quick else 32, many_rows=0)


def measure_large(world: World, protocol: Protocol, cores: int, scratch: Path) -> dict:
    """Figures of N = 12 x 200 rows, or {"why"} when a source is too short."""
    shortest = min(len(tokens) for tokens in world.sources.values()) // TOKENS - 1
    if shortest < protocol.rows_each + protocol.queries_each:
        return {"why": f"the shortest source holds {shortest} stretches, 2,400 rows take {ROWS_EACH + protocol.queries_each} of each"}
    task = world.draw(3, protocol)
    truth = measure(task, cores, world.cache, f"{len(task.rows)} rows", whole=False)
    small = judge(stored(task, scratch / "large", FROZEN), task, truth)
    whole = judge(Gradients(task, task.checkpoints, FROZEN).uncompressed(normalise=True), task, truth)
    return {"rows": len(task.rows), "stored": small.figures, "uncompressed": whole.figures,
            "ratio": round(small.figures["lds"] / whole.figures["lds"], 4), "paired": paired(small.lds, whole.lds)}
