"""What a fit takes: bytes above the loaded model, and how often the rows run through it. README.md has the formulas."""

from .components import BLOCK, EXACT_ROWS, OVERSAMPLE
from .factors import OVERSAMPLE as SKETCH
from .settings import Settings


def _side(width: int, settings: Settings) -> tuple[int, int]:
    """(bytes of the accumulated factor, bytes of its basis)."""
    basis = 4 * width * min(width, settings.side_rank)
    if width <= settings.dense_side:
        return 8 * width * width, basis
    return 12 * width * min(width, settings.side_rank + SKETCH), basis


def _merged(shapes: list[tuple[int, int]], settings: Settings) -> int:
    """Bytes of the second copy of the adapted weights (merged_probe.py; none of a base that is not float32)."""
    copies = 4 * sum(a[1] * b[1] for a, b in zip(shapes[::2], shapes[1::2]))
    return copies if copies <= settings.cache_bytes else 0


def keeps_gradients(shapes: list[tuple[int, int]], rows: int, settings: Settings) -> bool:
    """Whether the gradients of all rows at one checkpoint stay in memory."""
    return 4 * sum(r * d for r, d in shapes) * rows <= settings.cache_bytes


def fit_bytes(shapes: list[tuple[int, int]], rows: int, tokens: int, checkpoints: int, vocabulary: int,
              settings: Settings) -> dict[str, int]:
    """Bytes by part, `peak` = the larger of the two phases (one checkpoint's rotation, the components of all). shapes:
    (rank, width) of every A and B; tokens: of all rows. `pass` is the logits of a batch and what the loss makes of them;
    the activations of a deep model's layers come on top."""
    parameters = sum(r * d for r, d in shapes)
    sides = [_side(width, settings) for shape in shapes for width in shape]
    features = min(settings.kept_features(rows), checkpoints * parameters)
    columns = min(settings.components + OVERSAMPLE, features, rows)
    parts = {
        "rows": 8 * tokens,
        "adapters": 4 * checkpoints * parameters,
        "merged": _merged(shapes, settings),
        "gradients": 4 * parameters * rows if keeps_gradients(shapes, rows, settings) else 0,
        "pass": 12 * settings.batch_tokens * vocabulary,
        "factors": sum(factor + basis for factor, basis in sides),
        "features": 4 * rows * features,
        "components": 12 * rows * min(settings.components, features, rows)
        + (4 * features * columns + 32 * rows * rows if rows <= EXACT_ROWS else 4 * features * (3 * columns + BLOCK)),
    }
    lasting = parts["rows"] + parts["adapters"] + parts["features"]
    return parts | {"peak": lasting + max(parts["factors"] + parts["gradients"] + parts["merged"] + parts["pass"], parts["components"])}


def row_passes(shapes: list[tuple[int, int]], rows: int, settings: Settings) -> int:
    """Forward and backward passes of single rows per checkpoint: one epoch is `rows` of them."""
    if keeps_gradients(shapes, rows, settings):
        return rows
    sample = min(rows, settings.sample_rows)
    return rows + sample + -(-sample // max(1, sample // settings.corrected_rows))
