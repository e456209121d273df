"""Scores outputs against a store: one forward and backward pass a checkpoint, one rotation, one dot product a row."""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from . import errors
from .adapter import Adapter, LoraModule, adapter_digest
from .base_model import Base, load_base
from .commands import run_command
from .digests import base_digest
from .errors import InfluenceError
from .gradients import row_gradients
from .probe import LoraProbe
from .quantise import Tier, as_tiers
from .rows import Sequence, to_sequence
from .store import Store, read_store
from .trained_rows import trained_mask

BLOCK = 512  # rows unpacked at a time into one buffer: no page is touched twice


@dataclass
class Scored:
    """scores (N) float32 in store order, helpful positive; loss of the output at the last checkpoint; gated = the
    loss lies beyond the training range (a score would say nothing: gibberish has large gradients)."""

    scores: torch.Tensor
    loss: float
    gated: bool


def _products(codes: torch.Tensor, tier: Tier, query: torch.Tensor) -> torch.Tensor:
    """(N): codes of a tier, not centred, times a vector (count). A byte holds several codes; instead of cutting it we
    mask it: the j-th code is (byte & mask_j - byte & mask_j-1) / 2^(bits j), and the vector takes in the differences.
    Every block has BLOCK rows, the last one filled up: the bits of a product do not depend on how many rows there are."""
    planes = 8 // tier.bits
    asked = torch.zeros(planes + 1, tier.size)
    asked[:planes].view(-1)[: tier.count] = query
    asked /= 2.0 ** (tier.bits * torch.arange(planes + 1))[:, None]
    asked = (asked[:-1] - asked[1:]).flatten()
    masks = (2 ** (tier.bits * torch.arange(1, planes + 1)) - 1).to(torch.uint8)[:, None]
    out = torch.zeros(-(-len(codes) // BLOCK) * BLOCK)
    masked, numbers = torch.zeros(BLOCK, planes, tier.size, dtype=torch.uint8), torch.empty(BLOCK, planes, tier.size)
    for start in range(0, len(codes), BLOCK):
        block = codes[start : start + BLOCK, None, tier.at : tier.at + tier.size]
        torch.bitwise_and(block, masks, out=masked[: len(block)])
        torch.mv(numbers.copy_(masked).view(BLOCK, -1), asked, out=out[start : start + BLOCK])
    return out[: len(codes)]


def stored_scores(codes: torch.Tensor, factors: torch.Tensor, kept: tuple[Tier, ...], query: torch.Tensor) -> torch.Tensor:
    """(N) scores of the stored rows; factors (N, tiers) is what a row's centred codes are multiplied by."""
    scores = torch.zeros(len(codes))
    for number, tier in enumerate(kept):
        vector = query[tier.start : tier.start + tier.count]
        scores += (_products(codes, tier, vector) - tier.centre * vector.sum()) * factors[:, number]
    return scores


class MethodRows:
    """The stored rows of one method, ready for dot products."""

    def __init__(self, store: Store, method: str):
        if method not in store.header["methods"]:
            raise errors.store_mismatch(f"the store holds no {method!r} rows, only {sorted(store.header['methods'])}: "
                                        f"fit it with --methods {method}")
        described = store.header["methods"][method]
        self.reads = described["reads"]
        self.components = store.queries[f"{method}.components"].float()
        self.codes = store.rows[f"{method}.codes"]
        self.tiers = as_tiers(described["tiers"])
        self.absolute = store.rows[f"{method}.scales"].float() * described["unit"]
        # RelatIF (Barshan et al., arXiv 2003.11630): divide by the row's own length, so outliers do not dominate
        length = store.rows[f"{method}.norms"][:, None]
        self.relative = torch.where(length > 0, self.absolute / length.clamp_min(1e-30), 0.0)

    def query(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        return features[self.reads] @ self.components

    def scores(self, query: torch.Tensor, normalise: bool) -> torch.Tensor:
        return stored_scores(self.codes, self.relative if normalise else self.absolute, self.tiers, query)


class Scorer:
    """Bound to one base and one store. Outputs are scored one at a time, unpadded: the same bits in any batch."""

    def __init__(self, base: Base, store: Store, mask: torch.Tensor | None = None):
        """mask: 1 for rows of the manifest; any other row scores 0."""
        self.base, self.store, self.mask = base, store, mask
        self.checkpoints = [self._checkpoint(c) for c in range(len(store.rotations))]
        self.methods: dict[str, MethodRows] = {}

    def _checkpoint(self, number: int) -> Adapter:
        tensors = load_file(self.store.folder / f"checkpoint-{number}.safetensors")
        scales = self.store.header["scales"][number]
        return Adapter(tuple(LoraModule(m["name"], tensors[f"{i}.A"], tensors[f"{i}.B"], scales[i])
                             for i, m in enumerate(self.store.header["modules"])), "")

    def sequence(self, record: dict) -> Sequence:
        """Raises output_invalid for an empty completion or one without any token to predict."""
        sequence = to_sequence(record, self.base.tokenizer, self.store.header["window"], self.base.vocabulary)
        if not sequence.windows:
            raise errors.output_invalid(f"{record.get('id')}: no token of the output can have a loss")
        return sequence

    def features(self, sequence: Sequence) -> tuple[dict[str, torch.Tensor], float]:
        """({"whitened", "raw"}: (d)), as the rows' features were made, and the loss at the last checkpoint."""
        parts, raw, loss = [], torch.zeros(1, self.store.header["rawWidth"]), 0.0
        probe, last = LoraProbe(self.base.model, self.checkpoints[0]), len(self.checkpoints) - 1
        try:
            for c, (adapter, rotations, mapping) in enumerate(zip(self.checkpoints, self.store.rotations, self.store.maps)):
                probe.use(adapter)
                out = torch.zeros(1, mapping.width)
                targets = [(mapping, out)] + ([(self.store.raw_map, raw)] if c == last and self.store.raw_map else [])

                def put(matrix: int, gradient: torch.Tensor) -> None:
                    coordinates = rotations[matrix].coordinates(gradient).cpu()
                    for into, values in targets:
                        into.add(matrix, coordinates, values)

                (loss,) = row_gradients(probe, [sequence], put)
                parts.append(out[0])
        finally:
            probe.detach()
        return {"whitened": torch.cat(parts), "raw": raw[0]}, loss

    def rows_of(self, method: str) -> MethodRows:
        """Raises store_mismatch when the store was fitted without this method."""
        if method not in self.methods:
            self.methods[method] = MethodRows(self.store, method)
        return self.methods[method]

    def score(self, sequence: Sequence, method: str = "ekfac", normalise: bool = True) -> Scored:
        stored = self.rows_of(method)
        features, loss = self.features(sequence)
        scores = stored.scores(stored.query(features), normalise)
        if self.mask is not None:
            scores = torch.where(self.mask > 0, scores, 0.0)  # a product would print -0.0
        if not torch.isfinite(scores).all():
            raise errors.gradient_not_finite(sequence.id)
        return Scored(scores, loss, loss > self.store.header["lossRange"]["max"])


def open_scorer(store_dir: Path, base_dir: Path, adapter_dir: Path, base: Base | None = None,
                known_base_digest: str | None = None) -> Scorer:
    """Checks that store, adapter and base belong together; raises store_mismatch or store_corrupt."""
    store = read_store(store_dir, adapter_digest(adapter_dir))
    if store.header["baseDigest"] != (known_base_digest or base_digest(base_dir)):
        raise errors.store_mismatch("the store was fitted on another base model: give that one, or fit again")
    return Scorer(base or load_base(base_dir), store, trained_mask(store.row_ids, adapter_dir))


def parse_output(line: bytes | str) -> dict:
    """One line of {"id",...}; raises output_invalid."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise errors.output_invalid("the line is not JSON") from None
    if not isinstance(record, dict) or not isinstance(record.get("id"), str):
        raise errors.output_invalid("id: the line is not an object with a string id")
    return record


def check_output(record: dict) -> dict:
    """Raises output_invalid that names the field."""
    for name in ("prompt", "completion"):
        if not isinstance(record.get(name, "" if name == "prompt" else None), str):
            raise errors.output_invalid(f"{record['id']}: {name} must be a string")
    return {"id": record["id"], "prompt": record.get("prompt", ""), "completion": record["completion"]}


def _answer(scorer: Scorer, line: bytes, args) -> dict:
    name = None
    try:
        record = parse_output(line)
        name = record["id"]
        scored = scorer.score(scorer.sequence(check_output(record)), args.method, not args.absolute)
    except InfluenceError as refused:
        return {"id": name, "error": refused.as_dict()}
    values = [float(f"{v:.7g}") for v in scored.scores.tolist()]  # float32's digits: small scores are scores
    return {"id": name, "scores": dict(zip(scorer.store.row_ids, values)), "loss": round(scored.loss, 6),
            "gated": scored.gated}


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="influence score", description=(
        'Score outputs from stdin, {"id","prompt","completion"} a line; one line out each, in order: {"id","scores"}, '
        'helpful positive, or {"id","error"} for a refused one; then the exit code is 1 after the last line.'))
    parser.add_argument("--store", required=True, type=Path)
    parser.add_argument("--base", required=True, type=Path)
    parser.add_argument("--adapter", required=True, type=Path)
    parser.add_argument("--method", choices=("ekfac", "datainf", "dot"), default="ekfac")
    parser.add_argument("--absolute", action="store_true", help="no division by a row's own gradient length (RelatIF)")
    args = parser.parse_args(argv)
    scorer, refused = open_scorer(args.store, args.base, args.adapter), 0
    scorer.rows_of(args.method)
    for line in sys.stdin.buffer:
        if line.strip():
            answer = _answer(scorer, line, args)
            refused += "error" in answer
            print(json.dumps(answer), flush=True)
    if refused:
        print(f"{refused} outputs were refused", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    run_command(main, sys.argv[1:])
