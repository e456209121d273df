"""Fits the influence store of an adapter: `fit_store(...)` in the training job, `python -m influence.fit` by hand."""

import argparse
import sys
import tempfile
import time
from dataclasses import astuple, dataclass
from pathlib import Path

import torch

from . import errors
from .adapter import Adapter, adapter_digest, read_adapter
from .base_model import Base, load_base
from .commands import progress, run_command
from .curvature import learn_rotations, write_features
from .digests import base_digest
from .feature_map import FeatureMap, raw_map, whitened_map
from .footprint import fit_bytes, row_passes
from .gradient_source import GradientSource
from .gradients import batches, losses
from .merged_probe import fitting_probe
from .methods import METHODS, NEEDS_RAW, Features, RowVectors
from .own_part import own_parts_of
from .quantise import row_size
from .rotation import MatrixRotation
from .rows import Sequence, check_record, read_rows, to_sequence
from .settings import Settings
from .store import exclusive, staged, write_store

RANGE_SAMPLE = 64


def checkpoint_folders(adapter: Path) -> list[Path]:
    """`DIR/checkpoints/*` in order of their number, or DIR itself."""
    inner = [p for p in (Path(adapter) / "checkpoints").glob("*") if (p / "adapter_config.json").is_file()]
    number = lambda p: (int("".join(c for c in p.name if c.isdigit()) or 0), p.name)
    return sorted(inner, key=number) or [Path(adapter)]


def _features(rows: int, width: int, scratch: str) -> torch.Tensor:
    """(rows, width) float32 zeros, in memory up to 1 GB and in a scratch file beyond."""
    if rows * width * 4 <= 1_000_000_000:
        return torch.zeros(rows, width)
    return torch.from_file(scratch, shared=True, size=rows * width).view(rows, width)


def _loss_range(model: torch.nn.Module, sequences: list[Sequence], seen: list[float], settings: Settings) -> dict:
    """From the best checkpoint's loss to the base's (before training; `model` has no probe): an output beyond it is gated."""
    some = [s for s in sequences if s.windows][:: max(1, len(sequences) // RANGE_SAMPLE)][:RANGE_SAMPLE]
    for batch in batches(some, settings.batch_tokens):
        seen = seen + losses(model, [some[i] for i in batch])
    return {"min": min(seen), "max": max(seen)}


@dataclass
class Fitted:
    """rotations and maps: per checkpoint; raw_map: the last checkpoint's, where a method reads it; final: each row's
    loss there."""

    features: Features
    rotations: list[list[MatrixRotation]]
    maps: list[FeatureMap]
    loss_range: dict
    final: list[float]


def _fit_checkpoints(base: Base, adapters: list[Adapter], sequences: list[Sequence], settings: Settings, raw: bool,
                     scratch: str) -> Fitted:
    probe, count = fitting_probe(base.model, adapters[0], settings), len(sequences)
    say = progress(row_passes(probe.shapes(), count, settings) * len(adapters), "gradients")
    budget = settings.kept_features(count) // len(adapters)
    features = _features(count, budget * len(adapters), f"{scratch}/whitened")
    rotations, maps, seen, width, raw_features, by_matrix = [], [], [], 0, None, None
    try:
        for number, adapter in enumerate(adapters):
            probe.use(adapter)
            source = GradientSource(probe, sequences, settings, say)
            rotations.append(learn_rotations(source, settings, number))
            maps.append(whitened_map(rotations[-1], budget, settings.seed + number))
            targets = [(maps[-1], features[:, width : width + maps[-1].width])]
            if raw and number == len(adapters) - 1:
                by_matrix = raw_map(rotations[-1], budget, settings.seed)
                raw_features = _features(count, by_matrix.width, f"{scratch}/raw")
                targets.append((by_matrix, raw_features))
            write_features(source, targets)
            width += maps[-1].width
            seen += list(source.losses.values())
    finally:
        probe.detach()
    final = [source.losses.get(i, 0.0) for i in range(count)]
    loss_range = _loss_range(base.model, sequences, seen, settings)
    return Fitted(Features(features[:, :width], raw_features, by_matrix, rotations[-1]), rotations, maps, loss_range, final)


def _stored(vectors: dict[str, RowVectors], sequences: list[Sequence]):
    """Rows, query maps and contributor sums of every method, with their header entries."""
    rows, queries, groups, described = {}, {}, {}, {}
    contributors = sorted({s.contributor for s in sequences})
    position = {name: n for n, name in enumerate(contributors)}
    member = torch.tensor([position[s.contributor] for s in sequences])
    for name, made in vectors.items():
        rows[f"{name}.codes"], rows[f"{name}.scales"], rows[f"{name}.norms"] = made.rows.codes, made.rows.scales, made.norms
        queries[f"{name}.components"] = made.components.half()
        sums = torch.zeros(len(contributors), made.rows.width)
        for at, block in made.rows.blocks():
            lengths = made.norms[at : at + len(block), None].clamp_min(1e-30)
            sums.index_add_(0, member[at : at + len(block)], block / lengths)
        groups[f"{name}.contributors"] = sums
        described[name] = {"reads": made.reads, "components": made.rows.width, "unit": made.rows.unit,
                           "tiers": [astuple(t) for t in made.rows.tiers], "bytesPerRow": row_size(made.rows.tiers)}
    return rows, queries, groups, described, contributors


def _map_tensors(name: str, mapping: FeatureMap) -> dict[str, torch.Tensor]:
    parts = enumerate(zip(mapping.feature, mapping.factor))
    return {f"{name}.{m}.{kind}": t for m, pair in parts for kind, t in zip(("feature", "factor"), pair)}


def _rotation_tensors(fitted: Fitted) -> dict[str, torch.Tensor]:
    bases = {f"{c}.{m}.{side}": t.half() for c, checkpoint in enumerate(fitted.rotations)
             for m, r in enumerate(checkpoint) for side, t in (("left", r.left), ("right", r.right))}
    for c, mapping in enumerate(fitted.maps):
        bases |= _map_tensors(str(c), mapping)
    return bases | (_map_tensors("raw", fitted.features.raw_map) if fitted.features.raw_map else {})


def fit_store(base_dir, checkpoints, rows, out_dir, *, adapter_dir=None, settings: Settings | None = None,
              methods=("ekfac",), base: Base | None = None, device: str = "cpu") -> dict:
    """Writes an influence store to out_dir, atomically, and returns its summary.

    base_dir: HF model folder. checkpoints: PEFT adapter folders, oldest first. rows: list of row records (text |
    prompt+completion | messages | input_ids+labels) or the path of a JSONL file. adapter_dir: the adapter that the
    store is bound to (default the last checkpoint). Gradients are of each row's mean loss, exact in float32.
    Raises InfluenceError with a stable code and leaves nothing behind.
    Returns {"storeDigest","adapterDigest","rows","scored","bytes","bytesPerRow","seconds","checkpoints","components",
    "memoryBytes"}; the last is footprint.py's peak above the loaded model.
    """
    started, settings, out = time.monotonic(), settings or Settings(), Path(out_dir).absolute()
    unknown = [m for m in methods if m not in METHODS]
    if unknown or not checkpoints:
        raise errors.rows_invalid(f"unknown method {unknown[0]!r}" if unknown else "no checkpoint given")
    if isinstance(rows, (str, Path)):
        records = read_rows(Path(rows))
    else:
        seen_ids: set[str] = set()
        records = [check_record(r, f"row {n}", seen_ids) for n, r in enumerate(rows, 1)]
    if not records:
        raise errors.rows_invalid("there are no rows")
    adapters = [read_adapter(Path(c)) for c in checkpoints]
    bound_to = adapter_digest(Path(adapter_dir or checkpoints[-1]))
    with exclusive(out), tempfile.TemporaryDirectory(dir=out.parent, prefix=".influence-") as scratch:
        base = base or load_base(Path(base_dir), device)
        window = min(settings.window_tokens, base.context)
        sequences = [to_sequence(r, base.tokenizer, window, base.vocabulary) for r in records]
        if not any(s.windows for s in sequences):
            raise errors.rows_invalid("no row has two tokens: nothing has a loss")
        shapes = [shape for m in adapters[0].modules for shape in (tuple(m.a.shape), tuple(m.b.shape[::-1]))]
        tokens = sum(len(w.tokens) for s in sequences for w in s.windows)
        memory = fit_bytes(shapes, len(sequences), tokens, len(adapters), base.vocabulary, settings)["peak"]
        print(f"influence: about {memory >> 20} MiB beside the model", file=sys.stderr, flush=True)
        fitted = _fit_checkpoints(base, adapters, sequences, settings, bool({*methods} & {*NEEDS_RAW}), scratch)
        vectors = {name: METHODS[name](fitted.features, settings) for name in methods}
        stored, queries, groups, described, contributors = _stored(vectors, sequences)
        stored["losses"] = torch.tensor(fitted.final)
        header = {
            "adapterDigest": bound_to, "baseDigest": base_digest(Path(base_dir)), "settings": settings.as_dict(),
            "methods": described, "lossRange": fitted.loss_range, "contributors": contributors, "rows": len(sequences),
            "dampings": [[r.damping for r in checkpoint] for checkpoint in fitted.rotations], "window": window,
            "featureWidths": [m.width for m in fitted.maps],
            "rawWidth": fitted.features.raw_map.width if fitted.features.raw_map else 0,
            "modules": [{"name": m.name, "rank": m.a.shape[0]} for m in adapters[0].modules],
            "scales": [[m.scale for m in a.modules] for a in adapters],
            "unscored": [s.id for s in sequences if not s.windows],
        }
        weights = {f"checkpoint-{c}": {f"{i}.{side}": t for i, m in enumerate(a.modules)
                                       for side, t in (("A", m.a), ("B", m.b))} for c, a in enumerate(adapters)}
        with staged(out) as folder:
            digest = write_store(folder, header, [
                {"id": s.id, "cluster": s.cluster, "contributor": s.contributor, "own": own}
                for s, own in zip(sequences, own_parts_of(records))],
                {"rows": stored, "rotation": {**_rotation_tensors(fitted), **queries}, "groups": groups, **weights})
    return {"storeDigest": digest, "adapterDigest": bound_to, "rows": len(sequences),
            "scored": len(sequences) - len(header["unscored"]), "checkpoints": len(adapters),
            "components": described[methods[0]]["components"], "bytesPerRow": described[methods[0]]["bytesPerRow"],
            "bytes": sum(p.stat().st_size for p in out.iterdir()), "seconds": round(time.monotonic() - started, 3),
            "memoryBytes": memory}


def main(argv: list[str]) -> dict:
    parser = argparse.ArgumentParser(prog="influence fit", description="Fit the influence store of a LoRA adapter.")
    parser.add_argument("--base", required=True, type=Path, help="Hugging Face model folder")
    parser.add_argument("--adapter", required=True, type=Path, help="PEFT LoRA folder (checkpoints/* inside are used)")
    parser.add_argument("--rows", required=True, type=Path, help='JSONL of {"id","text"} or {"id","prompt","completion"}')
    parser.add_argument("--out", required=True, type=Path, help="folder of the store")
    parser.add_argument("--methods", nargs="+", choices=sorted(METHODS), default=["ekfac", "datainf", "dot"],
                        help="scorers to store (default: all)")
    parser.add_argument("--row-bytes", type=int, choices=(514, 258), default=514, help="bytes of a stored row")
    args = parser.parse_args(argv)
    return fit_store(args.base, checkpoint_folders(args.adapter), args.rows, args.out, adapter_dir=args.adapter,
                     settings=Settings(row_bytes=args.row_bytes), methods=tuple(args.methods))


if __name__ == "__main__":
    run_command(main, sys.argv[1:])
