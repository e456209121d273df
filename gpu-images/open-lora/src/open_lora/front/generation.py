"""Runs the choices of a request and merges what they give into one stream of updates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

from open_lora.engine_port import Engine, GenerationRequest, Lease, TokenEvent
from open_lora.front.prompting import Prompt
from open_lora.front.request import ParsedRequest
from open_lora.front.text import Decoder, TextAssembler
from open_lora.refusals import Refusal


@dataclass
class Choice:
    index: int
    prompt: Prompt
    assembler: TextAssembler
    events: list[TokenEvent] = field(default_factory=list)
    finish: str | None = None


@dataclass(frozen=True)
class Update:
    """New text of a choice, with the tokens that came since its last update."""

    choice: Choice
    text: str
    events: list[TokenEvent]


def make_choices(request: ParsedRequest, prompts: list[Prompt], decoder: Decoder) -> list[Choice]:
    choices = []
    for prompt in prompts:
        for copy in range(request.n):
            parameters = prompt.parameters
            if parameters.seed is not None and copy:
                parameters = replace(parameters, seed=parameters.seed + copy)
            own = replace(prompt, parameters=parameters)
            choices.append(Choice(len(choices), own, TextAssembler(decoder, request.stops)))
    return choices


async def run_choices(engine: Engine, lease: Lease, choices: list[Choice], request_id: str) -> AsyncIterator[Update]:
    """Ends when every choice has finished. The first Refusal of any of them ends all. Closing it cancels all."""
    if len(choices) == 1:
        updates = _run(engine, lease, choices[0], request_id)
        try:
            async for update in updates:
                yield update
        finally:
            await updates.aclose()
        return
    merged: asyncio.Queue[Update | Refusal | None] = asyncio.Queue()
    tasks = [asyncio.create_task(_forward(engine, lease, choice, request_id, merged)) for choice in choices]
    try:
        left = len(tasks)
        while left:
            update = await merged.get()
            if update is None:
                left -= 1
            elif isinstance(update, Refusal):
                raise update
            else:
                yield update
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _forward(engine, lease, choice, request_id, merged: asyncio.Queue) -> None:
    try:
        async for update in _run(engine, lease, choice, request_id):
            merged.put_nowait(update)
        merged.put_nowait(None)
    except Refusal as refusal:
        merged.put_nowait(refusal)


async def _run(engine: Engine, lease: Lease, choice: Choice, request_id: str) -> AsyncIterator[Update]:
    request = GenerationRequest(choice.prompt.tokens, choice.prompt.parameters, lease.adapter, request_id)
    stream = engine.generate(request)
    pending: list[TokenEvent] = []
    try:
        async for event in stream:
            choice.events.append(event)
            pending.append(event)
            ended = event.finish == "stop"
            text = "" if ended else choice.assembler.push(event.token)
            if choice.assembler.stopped:
                choice.finish = "stop"
            elif event.finish:
                text += choice.assembler.finish(end_token=ended)
                choice.finish = "stop" if choice.assembler.stopped else event.finish
            if text or choice.finish:
                yield Update(choice, text, pending)
                pending = []
            if choice.finish:
                return
    finally:
        await stream.aclose()
