"""Stored rows: components of two widths that fill `row_bytes`, strong ones wide, and one float16 scale a width.

Whitened gradients have a flat spectrum: what few components leave out weighs more than what few bits round. So as many
components are kept as fit, first at 8 bits, then at 4, then at 2 (docs/decisions/032). Components of one width are turned
by a random rotation (components.py), so that a row's numbers there are alike and near normal: below 8 bits the step is the one
of least mean squared error for a normal variable (Max, 1960)."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from . import errors

SCALE_BYTES = 2
BLOCK = 4096
_NORMAL_STEP = {4: 0.3352, 2: 0.9957}  # of a standard deviation


@dataclass(frozen=True)
class Tier:
    """`count` components from `start` on at `bits` each, in bytes [at, at + size) of a row."""

    start: int
    count: int
    bits: int
    at: int

    @property
    def size(self) -> int:
        return -(-self.count * self.bits // 8)

    @property
    def centre(self) -> float:
        """What a code stands for 0 at; below 8 bits between two codes."""
        return 128.0 if self.bits == 8 else (2**self.bits - 1) / 2


def tiers(components: int, row_bytes: int) -> tuple[Tier, ...]:
    """The widths for so many components; those that do not fit at two bits are not stored."""
    for wide, narrow in ((8, 8), (8, 4), (4, 2)):
        budget = row_bytes - SCALE_BYTES * (1 if wide == narrow else 2)
        if components * narrow <= 8 * budget or narrow == 2:
            break
    if wide == narrow:
        return (Tier(0, components, 8, 0),)
    components = min(components, 8 * budget // narrow)
    at_wide = (8 * budget - narrow * components) // (wide - narrow) // 8 * 8
    kept = [(at_wide, wide), (components - at_wide, narrow)] if at_wide else [(components, narrow)]
    made, start, at = [], 0, 0
    for count, bits in kept:
        made.append(Tier(start, count, bits, at))
        start, at = start + count, at + made[-1].size
    return tuple(made)


def one_width(components: int, row_bytes: int) -> Tier | None:
    """All components at the widest codes that hold all of them; None where none do."""
    made = (Tier(0, components, bits, 0) for bits in (8, 4, 2))
    return next((tier for tier in made if row_size((tier,)) <= row_bytes), None)


def as_tiers(written: list[list[int]]) -> tuple[Tier, ...]:
    """Back from a store's header; raises store_corrupt."""
    made = tuple(Tier(*each) for each in written)
    if any(t.bits not in (8, 4, 2) for t in made):
        raise errors.store_corrupt("components of an unknown width")
    return made


def row_size(kept: tuple[Tier, ...]) -> int:
    return sum(t.size + SCALE_BYTES for t in kept)


@dataclass
class Quantised:
    """codes (N, bytes) uint8, scales (N, tiers) float16: component = (code - centre) x scale x unit. `unit` is global: it
    keeps the scales in float16's range."""

    codes: torch.Tensor
    scales: torch.Tensor
    unit: float
    tiers: tuple[Tier, ...]

    @property
    def width(self) -> int:
        """Components of a row."""
        return sum(t.count for t in self.tiers)

    def blocks(self) -> Iterator[tuple[int, torch.Tensor]]:
        """(first row, rows as they come back (up to BLOCK, components) float32)."""
        for at in range(0, len(self.codes), BLOCK):
            yield at, unpack(self.codes[at : at + BLOCK], self.scales[at : at + BLOCK], self.unit, self.tiers)


def quantise(rows: torch.Tensor, kept: tuple[Tier, ...]) -> Quantised:
    """rows (N, components). In blocks of rows, for their float64 copies."""
    exact = torch.cat([_steps(block, kept) for block in rows.split(BLOCK)])
    positive = exact[exact > 0]
    unit = float(positive.median()) if len(positive) else 1.0
    scales = (exact / unit).clamp(max=60000.0).half()
    pairs = zip(rows.split(BLOCK), scales.split(BLOCK))
    return Quantised(torch.cat([_codes(block, scale.double() * unit, kept) for block, scale in pairs]), scales, unit, kept)


def _parts(block: torch.Tensor, kept: tuple[Tier, ...]) -> list[torch.Tensor]:
    return [block[:, t.start : t.start + t.count].double() for t in kept]


def _steps(block: torch.Tensor, kept: tuple[Tier, ...]) -> torch.Tensor:
    return torch.stack([p.abs().amax(1) / 127 if t.bits == 8 else p.square().mean(1).sqrt() * _NORMAL_STEP[t.bits]
                        for p, t in zip(_parts(block, kept), kept)], 1)


def _codes(block: torch.Tensor, divisors: torch.Tensor, kept: tuple[Tier, ...]) -> torch.Tensor:
    codes = []
    for part, divisor, tier in zip(_parts(block, kept), divisors.T[:, :, None], kept):
        level = torch.where(divisor > 0, part / divisor, 0.0) + tier.centre
        codes.append(_pack(level.round().clamp(0, 2**tier.bits - 1).to(torch.uint8), tier.bits))
    return torch.cat(codes, 1)


def _pack(codes: torch.Tensor, bits: int) -> torch.Tensor:
    """Planes side by side: the low bits of a row's bytes are its first components."""
    planes = 8 // bits
    missing = -codes.shape[1] % planes
    if missing:
        codes = torch.cat([codes, torch.zeros(len(codes), missing, dtype=torch.uint8)], 1)
    out, width = torch.zeros(len(codes), codes.shape[1] // planes, dtype=torch.uint8), codes.shape[1] // planes
    for plane in range(planes):
        out |= codes[:, plane * width : (plane + 1) * width] << (bits * plane)
    return out


def unpack(codes: torch.Tensor, scales: torch.Tensor, unit: float, kept: tuple[Tier, ...]) -> torch.Tensor:
    """(N, components) float32."""
    parts = []
    for number, tier in enumerate(kept):
        packed, mask = codes[:, tier.at : tier.at + tier.size], 2**tier.bits - 1
        planes = torch.cat([packed >> (tier.bits * plane) & mask for plane in range(8 // tier.bits)], 1)
        parts.append((planes[:, : tier.count].float() - tier.centre) * (scales[:, number, None].float() * unit))
    return torch.cat(parts, 1)
