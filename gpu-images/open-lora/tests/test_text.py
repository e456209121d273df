"""Text out of tokens: valid at every chunk, the same in the end, with stop strings cut off across token borders."""

from __future__ import annotations

import random

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
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


def test_what_a_token_stands_for_is_told_in_bytes_and_where_it_begins_in_characters():
    ids = DECODER.tokenizer("a漢 the")["input_ids"]
    assert [DECODER.token_bytes(token) for token in ids] == [b"a", b"\xe6", b"\xbc", b"\xa2", b" the"]
    assembler, _ = feed(ids)
    assert assembler.offsets(0, 5) == [0, 1, 1, 1, 2]
    assert DECODER.token_bytes(DECODER.tokenizer.eos_token_id) == b"</s>"


def sentence_pieces() -> Decoder:
    """As Llama 2 has it: words with their space in front, bytes for the characters that the vocabulary lacks."""
    words = ["<unk>", "</s>", "\u2581the", "\u2581fox", "y", *(f"<0x{byte:02X}>" for byte in range(256))]
    raw = Tokenizer(models.BPE({word: index for index, word in enumerate(words)}, [], byte_fallback=True, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    raw.decoder = decoders.Sequence([
        decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0),
    ])  # fmt: skip
    return Decoder(PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>", unk_token="<unk>"))


def test_tokens_keep_their_leading_space_and_their_bytes_in_a_vocabulary_of_words():
    decoder = sentence_pieces()
    byte = decoder.tokenizer.convert_tokens_to_ids("<0xE6>")
    ids = [2, 3, 4, byte, byte - 0xE6 + 0xBC, byte - 0xE6 + 0xA2, 2]
    assert [decoder.token_bytes(token) for token in ids] == [b" the", b" fox", b"y", b"\xe6", b"\xbc", b"\xa2", b" the"]
    assembler = TextAssembler(decoder, ())
    assert "".join([*(assembler.push(token) for token in ids), assembler.finish()]) == "the foxy漢 the"
    assert assembler.offsets(0, 3) == [0, 3, 7] and assembler.offsets(6, 7) == [9]


def test_an_end_token_has_no_text_though_the_tokenizer_does_not_call_it_special():
    tokenizer = make_tokenizer()
    tokenizer.add_tokens(["<|end|>"])
    decoder = Decoder(tokenizer)
    assembler = TextAssembler(decoder, ())
    ids = tokenizer("fox")["input_ids"]
    text = "".join(assembler.push(token) for token in ids) + assembler.finish(end_token=True)
    assert text == assembler.text == "fox" and len(assembler.token_bytes()) == len(ids) + 1
