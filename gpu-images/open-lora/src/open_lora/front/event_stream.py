"""Server-sent events of a streamed reply; each is whole and valid UTF-8.

Most events differ in their text alone, so what stands around it is encoded once a choice: a token's share of the
front is then a string to quote and a write.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring

from open_lora.front.generation import Update
from open_lora.front.replies import ReplyWriter

ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
MARK = "\x00"  # its JSON form stands nowhere else in a chunk: names and ids hold no control characters
DONE = b"data: [DONE]\n\n"


def frames(chunks: list[dict]) -> bytes:
    return b"".join(b"data: " + ENCODER.encode(chunk).encode("utf-8") + b"\n\n" for chunk in chunks)


class EventStream:
    def __init__(self, writer: ReplyWriter):
        self.writer = writer
        self._around: dict[int, tuple[bytes, bytes]] = {}  # choice -> what stands before and after the text

    def opening(self) -> bytes:
        return frames(self.writer.opening())

    def update(self, update: Update) -> bytes:
        if not self.writer.is_text_only(update):
            return frames(self.writer.update(update))
        index = update.choice.index
        if index not in self._around:
            before, after = frames(self.writer.update(Update(update.choice, MARK, []))).split(encode_basestring(MARK).encode())
            self._around[index] = before, after
        before, after = self._around[index]
        return before + encode_basestring(update.text).encode("utf-8") + after

    def closing(self) -> bytes:
        return frames(self.writer.closing()) + DONE
