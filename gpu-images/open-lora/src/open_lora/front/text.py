"""Token ids -> text, piece by piece: every piece is valid UTF-8, and the pieces together are the tokenizer's own
decoding of all ids. Stop strings are found here, across token borders, and never sent.
"""

from __future__ import annotations

import json
import re
from itertools import accumulate

from transformers import PreTrainedTokenizerFast

REPLACEMENT = "\ufffd"
BYTE_FALLBACK = re.compile("<0x[0-9A-F]{2}>")  # a byte of a character that the vocabulary lacks


class Decoder:
    """What is known about a tokenizer; shared by all requests."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.special = set(tokenizer.all_special_ids)
        # the wrapper's decode costs several times the work itself, and adds nothing to it where it is the stock one
        plain = getattr(type(tokenizer), "_decode", None) is PreTrainedTokenizerFast._decode
        self._fast = tokenizer.backend_tokenizer.decode if plain and not tokenizer.clean_up_tokenization_spaces else None
        self._alphabet = _byte_alphabet() if _is_byte_level(tokenizer) else None
        self._sizes: dict[int, int | None] = {}
        self.context_free = self._fast is not None and self._alphabet is not None  # bytes in a row: no token looks at others

    def decode(self, ids: list[int]) -> str:
        if self._fast is not None:
            return self._fast(ids, skip_special_tokens=True)
        return self.tokenizer.decode(ids, skip_special_tokens=True)

    def raw_bytes(self, token: int) -> int | None:
        """Bytes that a token stands for in a byte-level vocabulary; None when the vocabulary is of another kind."""
        if token not in self._sizes:
            self._sizes[token] = self._raw_bytes(token)
        return self._sizes[token]

    def _raw_bytes(self, token: int) -> int | None:
        if token in self.special:
            return 0
        if self._alphabet is None:
            return None
        piece = self.tokenizer.convert_ids_to_tokens(token)
        return len(piece) if piece is not None and all(char in self._alphabet for char in piece) else None

    def token_bytes(self, token: int) -> bytes:
        """What the token stands for inside a text: with its leading space, and of a part of a character its bytes."""
        piece = self.tokenizer.convert_ids_to_tokens(token) or ""
        if self.raw_bytes(token):
            return bytes(self._alphabet[char] for char in piece)
        if BYTE_FALLBACK.fullmatch(piece):
            return bytes.fromhex(piece[3:5])
        once, twice = self.tokenizer.decode([token]), self.tokenizer.decode([token, token])
        return (twice[len(once) :] if twice.startswith(once) else once).encode("utf-8")


class TextAssembler:
    """One choice. `push` returns the text that may be sent now."""

    def __init__(self, decoder: Decoder, stops: tuple[str, ...]):
        self.decoder, self.stops = decoder, stops
        self.ids: list[int] = []
        self.ends: list[int] = []  # bytes of text after each token
        self.stopped = False
        self._text = ""
        self._bytes = 0
        self._sent = 0
        self._settled = 0  # ids before this one are in _text
        self._context = 0  # decoding starts here, so that a space before a word is not lost
        self._before = ""  # text of ids[_context:_settled]

    @property
    def text(self) -> str:
        return self._text

    def push(self, token: int) -> str:
        self.ids.append(token)
        before = len(self._before)
        after = self.decoder.decode(self.ids[self._context :])
        if len(after) > before and not after.endswith(REPLACEMENT):
            self._settle(after[before:])
            return self._release(final=False)
        self.ends.append(self._bytes)
        return ""

    def finish(self, *, end_token: bool = False) -> str:
        """The rest: an unfinished character becomes U+FFFD, as in the tokenizer's own decoding. An end token that came has
        no text, whether or not the tokenizer calls it special."""
        if not self.stopped:
            whole = self.decoder.decode(self.ids)
            if whole.startswith(self._text) and len(whole) > len(self._text):
                self._settle(whole[len(self._text) :])
        rest = self._release(final=True)
        self.ends += [self._bytes] * end_token
        return rest

    def _settle(self, piece: str) -> None:
        """`piece` is the text of the tokens since the last one that was settled."""
        size = len(piece.encode("utf-8"))
        held = self.ids[self._settled :]
        del self.ends[self._settled :]
        parts = [self.decoder.raw_bytes(token) for token in held]
        if None in parts or sum(parts) != size:  # no exact lengths: the token that completed the text has it all
            owner = max((i for i, token in enumerate(held) if token not in self.decoder.special), default=len(held) - 1)
            parts = [size if index == owner else 0 for index in range(len(held))]
        if not held and self.ends:
            self.ends[-1] += size
        for part in parts:
            self._bytes += part
            self.ends.append(self._bytes)
        self._text += piece
        if self.decoder.context_free:
            self._context = self._settled = len(self.ids)
            return
        self._context, self._settled = self._settled, len(self.ids)
        self._before = self.decoder.decode(self.ids[self._context :])

    def offsets(self, first: int, last: int) -> list[int]:
        """Of tokens first..last-1: the character of the text that each begins in."""
        of_byte = [count - 1 for count in accumulate(byte & 0xC0 != 0x80 for byte in self._text.encode("utf-8"))]
        of_byte.append(len(self._text))
        return [of_byte[min(start, len(of_byte) - 1)] for start in [0, *self.ends][first:last]]

    def _release(self, final: bool) -> str:
        start = max(0, self._sent)
        if not self.stopped:
            cut = self._first_stop(start)
            if cut is not None:
                self.stopped = True
                self._text = self._text[:cut]
                total = len(self._text.encode("utf-8"))
                self.ends = [min(end, total) for end in self.ends]
        keep = 0 if final or self.stopped else self._possible_stop()
        out = self._text[start : len(self._text) - keep]
        self._sent = start + len(out)
        return out

    def _first_stop(self, start: int) -> int | None:
        places = [at for at in (self._text.find(stop, start) for stop in self.stops) if at >= 0]
        return min(places) if places else None

    def _possible_stop(self) -> int:
        """Length of the longest end of the text that may be the beginning of a stop string."""
        tail = self._text[self._sent :]
        best = 0
        for stop in self.stops:
            for size in range(min(len(stop) - 1, len(tail)), best, -1):
                if tail.endswith(stop[:size]):
                    best = size
                    break
        return best

    def token_bytes(self) -> list[int]:
        """Bytes of text per token; they sum up to the text's length."""
        total = len(self._text.encode("utf-8"))
        ends = [min(end, total) for end in self.ends]
        return [end - before for end, before in zip(ends, [0, *ends], strict=False)]


def _is_byte_level(tokenizer) -> bool:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or backend.decoder is None:
        return False
    return json.loads(backend.decoder.__getstate__()).get("type") == "ByteLevel"


def _byte_alphabet() -> dict[str, int]:
    """The 256 characters of byte-level BPE (Radford et al. 2019): one character of a token is one byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (code for code in range(256) if code not in printable)
    return {chr(code): code for code in printable} | {chr(256 + index): code for index, code in enumerate(others)}
