"""Text out of tokens: valid at every chunk, the same in the end, with stop strings cut off across token borders."""

from __future__ import annotations

import random

import pytest
from worlds import TEXT, VOCABULARY, make_tokenizer

from open_lora.front.text import Decoder, TextAssembler

DECODER = Decoder(make_tokenizer())


def feed(ids: list[int], stops: tuple[str, ...] = ()) -> tuple[TextAssembler, list[str]]:
    assembler = TextAssembler(DECODER, stops)
    pieces = []
    for token in ids:
        pieces.append(assembler.push(token))
        if assembler.stopped:
            return assembler, pieces
    pieces.append(assembler.finish())
    return assembler, pieces


@pytest.mark.parametrize("text", [TEXT, "😀漢字" * 5, "e\u0301 \u200d ﷽ 👩‍👩‍👧‍👦", " leading and trailing "])
def test_pieces_are_whole_characters_and_add_up(text):
    ids = DECODER.tokenizer(text)["input_ids"]
    assembler, pieces = feed(ids)
    assert "".join(pieces) == text == DECODER.decode(ids)
    assert all("\ufffd" not in piece for piece in pieces)
    assert sum(assembler.token_bytes()) == len(text.encode())


def test_exact_bytes_per_token_where_a_character_takes_several():
    ids = DECODER.tokenizer("漢")["input_ids"]
    assert len(ids) == 3
    assert feed(ids)[0].token_bytes() == [1, 1, 1]


def test_random_tokens_decode_as_the_tokenizer_decodes_them():
    rng = random.Random(1)
    for _ in range(300):
        ids = [rng.randrange(VOCABULARY - 1) for _ in range(rng.randint(1, 30))]
        assembler, pieces = feed(ids)
        assert "".join(pieces) == DECODER.decode(ids) == assembler.text
        sizes = assembler.token_bytes()
        assert sum(sizes) == len(assembler.text.encode()) and min(sizes) >= 0
        assert all(size == 0 for size, token in zip(sizes, ids, strict=True) if token in DECODER.special)


def test_stop_strings_across_token_borders_are_never_sent():
    ids = DECODER.tokenizer("the quick brown fox")["input_ids"]
    assembler, pieces = feed(ids, ("never", "ck br"))
    assert assembler.stopped and "".join(pieces) == "the qui" == assembler.text
    sizes = assembler.token_bytes()
    assert sum(sizes) == len("the qui") and len(sizes) == len(assembler.ids)


def test_text_that_only_begins_like_a_stop_string_is_sent_in_the_end():
    ids = DECODER.tokenizer("the lazy dog")["input_ids"]
    assembler, pieces = feed(ids, ("dogma",))
    assert "".join(pieces) == "the lazy dog" and not assembler.stopped


def test_an_unfinished_character_at_the_end_is_replaced_as_stock_decoding_does():
    ids = DECODER.tokenizer("a漢")["input_ids"][:-1]
    assembler, pieces = feed(ids)
    assert "".join(pieces) == DECODER.decode(ids) and "".join(pieces).endswith("\ufffd")
    assert sum(assembler.token_bytes()) == len(assembler.text.encode())
