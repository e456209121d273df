"""Training rows and outputs as token sequences, cut into windows where they exceed the model's context."""

import json
from array import array
from collections.abc import Sequence as Integers
from dataclasses import dataclass
from pathlib import Path

from . import errors


@dataclass(frozen=True)
class Window:
    """`tokens` as fed to the model; the loss counts tokens[t] for t in `targets` (each t >= 1). cut_windows packs both
    into 4 bytes a token."""

    tokens: Integers[int]
    targets: Integers[int]


@dataclass(frozen=True)
class Sequence:
    """One row or output. `windows` is empty when no token can have a loss (a single token without context)."""

    id: str
    windows: tuple[Window, ...]
    cluster: str = ""
    contributor: str = ""

    @property
    def target_count(self) -> int:
        return sum(len(window.targets) for window in self.windows)


def cut_windows(tokens: list[int], targets: list[int], context: int) -> tuple[Window, ...]:
    """Sequences up to `context` tokens are one window. A longer one is cut: each next window starts a quarter of
    the context before the first target not yet counted, so every target is counted once, with context before it;
    the last window reaches back as far as it can."""
    targets = [t for t in targets if t >= 1]
    if not targets:
        return ()
    if len(tokens) <= context:
        return (Window(array("i", tokens), array("i", targets)),)
    windows, wanted = [], targets
    while wanted:
        start = max(0, min(wanted[0] - context // 4, len(tokens) - context))
        end = min(start + context, len(tokens))
        inside = [t - start for t in wanted if t < end]
        windows.append(Window(array("i", tokens[start:end]), array("i", inside)))
        wanted = [t for t in wanted if t >= end]
    return tuple(windows)


def _encode(tokenizer, text: str, special: bool) -> list[int]:
    return list(tokenizer(text, add_special_tokens=special)["input_ids"])


def _tokens_and_targets(record: dict, tokenizer) -> tuple[list[int], list[int]]:
    """Accepts, in this order: input_ids (+ labels, -100 = no loss), prompt_tokens + output_tokens,
    prompt + completion, messages (loss on the last one), text."""
    if record.get("input_ids") is not None:
        tokens = [int(t) for t in record["input_ids"]]
        labels = record.get("labels", tokens)
        if len(labels) != len(tokens):
            raise errors.rows_invalid(f"{record.get('id')}: labels and input_ids differ in length")
        return tokens, [i for i, label in enumerate(labels) if label != -100]
    if "output_tokens" in record:
        prompt, completion = list(record.get("prompt_tokens") or []), list(record["output_tokens"])
    elif record.get("completion") is not None:
        prompt = _encode(tokenizer, record.get("prompt") or "", True)
        completion = _encode(tokenizer, record["completion"], False)
    elif record.get("messages"):
        messages = record["messages"]
        prompt = list(tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True, return_dict=False))
        whole = list(tokenizer.apply_chat_template(messages, return_dict=False))
        if whole[: len(prompt)] != prompt:  # a template without generation prompt: count the whole dialogue
            prompt = []
        completion = whole[len(prompt):]
    else:
        tokens = _encode(tokenizer, record["text"], True)
        return tokens, list(range(1, len(tokens)))
    if not completion:
        raise errors.output_invalid(f"{record.get('id')}: the completion is empty, there is nothing to attribute: "
                                    "leave it out")
    return prompt + completion, list(range(len(prompt), len(prompt) + len(completion)))


def to_sequence(record: dict, tokenizer, context: int, vocabulary: int) -> Sequence:
    try:
        tokens, targets = _tokens_and_targets(record, tokenizer)
    except errors.InfluenceError:
        raise
    except Exception as odd:  # whatever a tokenizer, its chat template or int() makes of half a surrogate pair and the like
        raise errors.output_invalid(f"{record.get('id')}: cannot be read as tokens: {odd}") from None
    if any(not isinstance(t, int) or t < 0 or t >= vocabulary for t in tokens):
        raise errors.output_invalid(f"{record.get('id')}: a token id is outside the base's vocabulary")
    windows = cut_windows(tokens, targets, context)
    return Sequence(record["id"], windows, record.get("cluster") or record["id"], record.get("contributor") or "")


def check_record(record, where: str, seen: set[str]) -> dict:
    """Raises rows_invalid that names `where` (a line) and the field."""
    if not isinstance(record, dict) or not isinstance(record.get("id"), str) or not record["id"]:
        raise errors.rows_invalid(f"{where}: not an object with a string id")
    if record["id"] in seen:
        raise errors.rows_invalid(f"{where}: id {record['id']!r} occurs twice")
    seen.add(record["id"])
    for name in ("text", "prompt", "completion", "cluster", "contributor"):
        if record.get(name) is not None and not isinstance(record[name], str):
            raise errors.rows_invalid(f"{where}: {name} must be a string")
    if record.get("completion") is not None:
        if not record["completion"]:
            raise errors.rows_invalid(f"{where}: the completion is empty")
    elif not (record.get("text") or record.get("messages") or record.get("input_ids")):
        raise errors.rows_invalid(f"{where}: neither text nor prompt and completion")
    return record


def read_rows(path: Path) -> list[dict]:
    """JSONL, lines end in \\n only (a raw U+2028 is text). Raises rows_invalid naming the line."""
    records, seen = [], set()
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except OSError as broken:
        raise errors.rows_invalid(f"{path}: {broken.strerror}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError):
            raise errors.rows_invalid(f"line {number}: not a JSON object in UTF-8") from None
        records.append(check_record(record, f"line {number}", seen))
    if not records:
        raise errors.rows_invalid("there are no rows")
    return records
