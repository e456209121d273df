"""Alpaca and ShareGPT records as the shapes that are trained: the rule of functions/datanets/formats/json-shapes.ts.

Rows of a Datanet went through ingestion and need none of this; a file made by hand may come as its author had it.
"""

SPEAKERS = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system", "tool": "tool"}


def converted(record: dict) -> dict:
    """The record with `messages`, or `prompt` and `completion`, where it is of one of the two shapes; else itself.

    What is wrong in a shape is left in, for the checks of rows.py to name.
    """
    if any(record.get(name) is not None for name in ("messages", "prompt", "completion")):
        return record
    said, asked, extra = record.get("conversations"), record.get("instruction"), record.get("input")
    if isinstance(said, list) and all(isinstance(turn, dict) for turn in said):
        speaker = [str(turn.get("from")).lower() for turn in said]
        return {**record, "messages": [{"role": SPEAKERS.get(who, who), "content": turn.get("value")}
                                       for who, turn in zip(speaker, said, strict=True)]}
    if isinstance(asked, str) and "output" in record:
        more = isinstance(extra, str) and extra.strip()
        return {**record, "prompt": f"{asked}\n\n{extra}" if more else asked, "completion": record["output"]}
    return record
