"""bench:influence: how well scores predict retraining, ours beside DataInf, TF-IDF, kronfluence and bergson.

Two draws of rows and queries from the same 12 contributors; every setting was frozen before the second. Progress goes
to stderr; the last line of stdout is one JSON object.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import torch
from influence.allocator import keep_freed_memory

from . import costs, texts
from .draw import OURS, Result, ceiling, judge, own_scores, peer_scores
from .ground_truth import measure
from .large import large_protocol, measure_large
from .measure import paired
from .reach import peers_of, reach
from .task import Protocol
from .world import make_world

QUICK = Protocol(rows_each=20, queries_each=3, steps=64, subsets=24, leave_out_seeds=1, pretraining_steps=500,
                 duplicates=36, many_rows=2000)


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def table(title: str, results: dict[str, Result]) -> None:
    say(f"\n{title:<38}{'LDS':>7}{'+-':>7}{'ours - it':>11}{'+-':>7}{'new seeds':>11}{'LOO top-1':>11}{'25% edits':>11}")
    for name, result in sorted(results.items(), key=lambda item: -item[1].figures["lds"]):
        f, ours = result.figures, paired(results[OURS].lds, result.lds)
        say(f"{name:<38}{f['lds']:>7.3f}{f['ldsError']:>7.3f}{ours['difference']:>+11.3f}{ours['standardError']:>7.3f}"
            f"{f['ldsNewSeeds']:>11.3f}{f['leaveOneOutTop1']:>11.2f}{f['nearDuplicateRecall']:>11.2f}")


def measure_draw(world, number: int, protocol: Protocol, cores: int, scratch: Path) -> dict:
    task = world.draw(number, protocol)
    truth = measure(task, cores, world.cache, f"draw {number}")
    scores = own_scores(task, scratch)
    others, missing = peer_scores(task, scratch, world.cache)
    results = {name: judge(s, task, truth) for name, s in {**scores, **others}.items()}
    table(f"draw {number} ({len(task.rows)} rows)", results)
    say(f"ceiling: losses under new seeds {ceiling(truth)}")
    against = {n: paired(results[OURS].lds, r.lds) for n, r in results.items() if n != OURS}
    return {"task": task, "results": results, "missing": missing, "ceiling": ceiling(truth), "paired": against}


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench:influence", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smaller draws, about three minutes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpora", type=Path, help="folder of 15 or more *.txt files in place of the built-in texts")
    parser.add_argument("--cache", type=Path, required=True, help="folder for what can be used again")
    parser.add_argument("--cores", type=int, default=min(4, os.cpu_count() or 1))
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as every command of the image and a training job do
    sources = texts.from_folder(args.corpora) if args.corpora else texts.built_in()
    protocol = QUICK if args.quick else Protocol()
    world = make_world(args.cache, sources, protocol, args.seed)
    say(f"contributors: {', '.join(sorted(world.sources))}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        draws = [measure_draw(world, number, protocol, args.cores, folder / str(number)) for number in (1, 2)]
        many = measure_large(world, large_protocol(protocol, args.quick), args.cores, folder)
        cost = costs.measure_costs(draws[0]["task"], folder / "1" / "ours", folder, draws[0]["results"])
    ours = {"contributors": sorted(world.sources), "settings": OURS, "largeRows": many, "costs": cost,
            "draws": [{"ceilingNewSeeds": d["ceiling"], "missing": d["missing"], "paired": d["paired"],
                       "methods": {n: r.figures for n, r in d["results"].items() if n.startswith("ekfac")}} for d in draws]}
    figures = reach(draws, many, cost)
    for entry in figures:
        say(f"{entry['figure']:<58}{entry['value']!s:>10}  goal {entry['goal']}  {'met' if entry['met'] else 'not met'}")
    print(json.dumps({"name": "influence", "seed": args.seed, "quick": args.quick, "machine": costs.machine(),
                      "ours": ours, "peers": peers_of(draws), "reach": figures}))


if __name__ == "__main__":
    main()
