"""The quick way to write an event gives the bytes of the slow one."""

from __future__ import annotations

import json

import pytest
from test_text import DECODER

from open_lora.engine_port import Lease, TokenEvent
from open_lora.front.event_stream import EventStream, frames
from open_lora.front.generation import Update, make_choices
from open_lora.front.prompting import make_prompts
from open_lora.front.replies import ReplyWriter
from open_lora.front.request import parse_request

TEXTS = ["a", 'quote " and \\ and \n', "漢字 😀", "\u2028 \x00 \x7f", '"text":"']


@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("options", [{}, {"n": 2}, {"logprobs": 1}, {"stream_options": {"continuous_usage_stats": True, "include_usage": True}}])
def test_events_are_those_of_the_reply_writer(chat, options):
    what = {"messages": [{"role": "user", "content": "x"}]} if chat else {"prompt": "x"}
    if chat and "logprobs" in options:
        options = {"logprobs": True, "top_logprobs": 1}
    request = parse_request({"model": "m \u0001 é", "stream": True, **what, **options}, chat)
    choices = make_choices(request, make_prompts(request, DECODER.tokenizer, 384, 192), DECODER)
    writers = [ReplyWriter(request, "id", Lease(None, "base", 0.0, None), DECODER, choices) for _ in range(2)]
    writers[1].created = writers[0].created
    quick = EventStream(writers[0])
    for text in [*TEXTS, "", *TEXTS]:
        for choice in choices:
            event = TokenEvent(5, -1.0, [(5, -1.0)])
            choice.events.append(event)
            update = Update(choice, text, [event])
            written = quick.update(update)
            assert written == frames(writers[1].update(update))
            for part in written.decode("utf-8").split("\n\n")[:-1]:
                body = json.loads(part.removeprefix("data: "))["choices"][0]
                assert (body["delta"]["content"] if chat else body["text"]) == text
