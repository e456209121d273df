"""Rows of the Datanets with their ids, in registry order, and which of them are held out for evaluation."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from fine_tune.checks import require_text
from fine_tune.refusal import Refusal
from fine_tune.shapes import converted

UNNAMED = "unnamed"
READ = ("id", "text", "prompt", "completion", "messages", "contributor", "cluster", "datanet")  # what we take of a record
ROLES = ("system", "user", "assistant", "tool")  # those that ingestion accepts


@dataclass(frozen=True)
class Row:
    """One row record. `datanet` is the first folder or the file name's beginning that names a Datanet of the job."""

    id: str
    text: str
    datanet: str
    contributor: str
    cluster: str
    sequence: int
    prompt: str | None = None
    completion: str | None = None
    messages: tuple[dict, ...] | None = None


def datanet_of(path: str, record: dict, datanets: list[str]) -> str:
    if record.get("datanet") in datanets:
        return record["datanet"]
    named = [d for d in datanets if path.split("/")[0] == d or path.split("/")[-1].startswith(d)]
    if named:
        return named[0]
    if len(datanets) > 1:
        raise Refusal("bad-rows", f"{path}: which Datanet is it of? Put it into a folder named after the Datanet's id")
    return datanets[0] if datanets else UNNAMED


def check_messages(messages: object, where: str) -> tuple[dict, ...]:
    good = isinstance(messages, list) and messages and all(
        isinstance(m, dict) and m.get("role") in ROLES and isinstance(m.get("content"), str)
        for m in messages)
    if not good:
        raise Refusal("bad-rows", f"{where}: messages must be a list of {{role, content}}, role one of {', '.join(ROLES)}")
    return tuple({"role": m["role"], "content": m["content"]} for m in messages)


def parse_row(line: bytes, where: str, path: str, datanets: list[str]) -> Row:
    try:
        record = json.loads(line.decode("utf-8"))
        if isinstance(record, dict):
            record = converted(record)
            for name in READ:
                require_text(record.get(name), f"{where}: {name}", "bad-rows")
    except RecursionError:
        raise Refusal("bad-rows", f"{where}: nested too deep") from None
    except ValueError as error:
        raise Refusal("bad-rows", f"{where}: not a JSON object in UTF-8 ({error})") from None
    if not isinstance(record, dict):
        raise Refusal("bad-rows", f"{where}: not a JSON object")
    # Rows of a Datanet have their ids; a file made by hand gets ids by its place and content.
    record.setdefault("id", f"row_{hashlib.sha256(where.encode() + line).hexdigest()[:24]}")
    if not isinstance(record["id"], str) or not record["id"]:
        raise Refusal("bad-rows", f"{where}: id must be a string")
    for name in ("text", "prompt", "completion"):
        if record.get(name) is not None and not isinstance(record[name], str):
            raise Refusal("bad-rows", f"{where}: {name} must be a string")
    messages = check_messages(record["messages"], where) if record.get("messages") is not None else None
    if not (record.get("text") or messages or (record.get("prompt") is not None and record.get("completion"))):
        raise Refusal("bad-rows", f"{where}: needs text, messages, prompt and completion, instruction and output, or conversations")
    sequence = record.get("sequence", 0)
    return Row(
        id=record["id"], text=record.get("text") or "", datanet=datanet_of(path, record, datanets),
        contributor=str(record.get("contributor") or ""), cluster=str(record.get("cluster") or record["id"]),
        sequence=sequence if isinstance(sequence, int) and abs(sequence) < 2**63 else 0, prompt=record.get("prompt"),
        completion=record.get("completion"), messages=messages)


def read_rows(folder: Path, files: list[Path], datanets: list[str]) -> list[Row]:
    """All rows, sorted by (sequence, id): the order must not depend on how files are named. Lines end in \\n only."""
    rows: dict[str, Row] = {}
    for file in files:
        path = file.relative_to(folder).as_posix()
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    row = parse_row(line, f"{path}, line {number}", path, datanets)
                    if row.id in rows:
                        raise Refusal("bad-rows", f"{path}, line {number}: the id {row.id} occurs twice")
                    rows[row.id] = row
    if not rows:
        raise Refusal("no-rows", "the row files are empty")
    return sorted(rows.values(), key=lambda row: (row.sequence, row.id))


def hold_out(rows: list[Row], fraction: float, seed: int) -> tuple[list[Row], list[Row]]:
    """(trained, held out): the rows with the smallest sha256(seed, id) are kept for evaluation, at least one of two."""
    count = 0 if fraction == 0 or len(rows) < 2 else min(len(rows) - 1, max(1, round(len(rows) * fraction)))
    ranked = sorted(rows, key=lambda row: hashlib.sha256(f"{seed}:{row.id}".encode()).digest())
    kept = {row.id for row in ranked[:count]}
    return [row for row in rows if row.id not in kept], [row for row in rows if row.id in kept]


def ids_digest(rows: list[Row]) -> str:
    """sha256 over the ids, each with a line feed, in code point order."""
    return hashlib.sha256("".join(f"{row}\n" for row in sorted(row.id for row in rows)).encode()).hexdigest()
