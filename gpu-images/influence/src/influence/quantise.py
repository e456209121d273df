"""Stored rows: int8 or packed int4 with one float16 scale a row (514 or 258 bytes at 512 components)."""

import torch

_LEVELS = {8: 127, 4: 7}


def quantise(rows: torch.Tensor, bits: int) -> tuple[torch.Tensor, torch.Tensor, float]:
    """(codes, scales, unit): row = codes x scale x unit. `unit` is global: it keeps the scales in float16's range."""
    levels = _LEVELS[bits]
    exact = rows.abs().amax(1).double() / levels
    positive = exact[exact > 0]
    unit = float(positive.median()) if len(positive) else 1.0
    scales = (exact / unit).clamp(max=60000.0).half()
    divisor = torch.where(scales > 0, scales.double() * unit, 1.0)
    codes = (rows.double() / divisor[:, None]).round().clamp(-levels, levels).to(torch.int8)
    codes[scales == 0] = 0
    return (codes if bits == 8 else _pack(codes)), scales, unit


def _pack(codes: torch.Tensor) -> torch.Tensor:
    if codes.shape[1] % 2:
        codes = torch.cat([codes, torch.zeros(len(codes), 1, dtype=torch.int8)], 1)
    nibbles = (codes + 8).to(torch.uint8)
    return nibbles[:, 0::2] | (nibbles[:, 1::2] << 4)


def unpack(codes: torch.Tensor, width: int) -> torch.Tensor:
    """Codes of either width as float32 (rows, width), scales not applied."""
    if codes.dtype == torch.int8:
        return codes.float()
    pairs = torch.stack([(codes & 15).to(torch.int8) - 8, (codes >> 4).to(torch.int8) - 8], 2)
    return pairs.reshape(len(codes), -1)[:, :width].float()
