"""OpenAI reply bodies, for both kinds of request, whole and in chunks; and the `openledger` extension."""

from __future__ import annotations

import time

from open_lora.engine_port import Lease, TokenEvent
from open_lora.front.generation import Choice, Update
from open_lora.front.request import ParsedRequest
from open_lora.front.text import Decoder


class ReplyWriter:
    def __init__(self, request: ParsedRequest, request_id: str, lease: Lease, decoder: Decoder, choices: list[Choice]):
        self.request, self.lease, self.decoder, self.choices = request, lease, decoder, choices
        self.id = ("chatcmpl-" if request.chat else "cmpl-") + request_id
        self.created = int(time.time())
        self._told = [0] * len(choices)  # tokens whose log probabilities were told

    def _head(self, kind: str) -> dict:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.request.model}

    # --- whole ----------------------------------------------------------------------------------------------------

    def whole(self) -> dict:
        body = self._head("chat.completion" if self.request.chat else "text_completion")
        return {**body, "choices": [self._choice(c) for c in self.choices], "usage": self.usage(), "openledger": self.extension()}

    def _choice(self, choice: Choice) -> dict:
        text = choice.assembler.text
        out = {"index": choice.index, "finish_reason": choice.finish, "logprobs": self._logprobs(choice, choice.events)}
        if self.request.chat:
            return {**out, "message": {"role": "assistant", "content": text, "refusal": None}}
        return {**out, "text": choice.prompt.text + text if self.request.echo else text}

    def usage(self) -> dict:
        prompts = {id(choice.prompt.tokens): len(choice.prompt.tokens) for choice in self.choices}
        prompt, completion = sum(prompts.values()), sum(len(choice.events) for choice in self.choices)
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    def extension(self) -> dict:
        adapter = self.lease.adapter
        out = {
            "adapter": None if adapter is None else self.request.model,  # another name may have the same content
            "found": self.lease.found, "load_ms": round(self.lease.load_ms, 3),
        }  # fmt: skip
        if self.request.transcript:
            transcripts = [_transcript(choice) for choice in self.choices]
            out.update(transcripts[0] if len(transcripts) == 1 else {"choices": transcripts})
        return out

    # --- in chunks ------------------------------------------------------------------------------------------------

    def opening(self) -> list[dict]:
        if self.request.chat:
            return [self._chunk(c, {"delta": {"role": "assistant", "content": ""}}) for c in self.choices]
        return [self._chunk(c, {"text": c.prompt.text}) for c in self.choices] if self.request.echo else []

    def is_text_only(self, update: Update) -> bool:
        """Its chunk is that of the choice's other updates but for the text."""
        plain = update.choice.prompt.parameters.logprobs is None and not self.request.continuous_usage
        return bool(plain and update.text and not update.choice.finish)

    def update(self, update: Update) -> list[dict]:
        choice, out = update.choice, []
        if update.text or not choice.finish or update.events:
            body = {"delta": {"content": update.text}} if self.request.chat else {"text": update.text}
            out.append(self._chunk(choice, {**body, "logprobs": self._logprobs(choice, update.events)}))
        if choice.finish:
            body = {"delta": {}} if self.request.chat else {"text": ""}
            out.append(self._chunk(choice, {**body, "finish_reason": choice.finish}))
        return out

    def closing(self) -> list[dict]:
        """The chunk with `usage`; `openledger` stands in the last chunk, which is this one or one without choices."""
        last = {**self._chunk(None, {}), "openledger": self.extension()}
        if self.request.include_usage:
            last["usage"] = self.usage()
            return [last]
        return []

    def _chunk(self, choice: Choice | None, body: dict) -> dict:
        head = self._head("chat.completion.chunk" if self.request.chat else "text_completion")
        if choice is None:
            return {**head, "choices": []}
        whole = {"index": choice.index, "finish_reason": None, "logprobs": None, **body}
        chunk = {**head, "choices": [whole]}
        if whole["finish_reason"] and not self.request.include_usage:
            chunk["openledger"] = self.extension()
        if self.request.continuous_usage:
            chunk["usage"] = self.usage()
        return chunk

    # --- log probabilities ----------------------------------------------------------------------------------------

    def _logprobs(self, choice: Choice, events: list[TokenEvent]) -> dict | None:
        if choice.prompt.parameters.logprobs is None:
            return None
        if self.request.chat:
            return {"content": [self._chat_logprob(event) for event in events], "refusal": None}
        tokens = [self._name(event.token) for event in events]
        top = [{self._name(token): logp for token, logp in event.top or []} for event in events]
        first = self._told[choice.index]
        self._told[choice.index] += len(events)
        offsets = choice.assembler.offsets(first, first + len(events))
        return {"tokens": tokens, "token_logprobs": [e.logprob for e in events], "top_logprobs": top, "text_offset": offsets}

    def _chat_logprob(self, event: TokenEvent) -> dict:
        top = [self._entry(token, logprob) for token, logprob in event.top or []]
        return {**self._entry(event.token, event.logprob), "top_logprobs": top}

    def _entry(self, token: int, logprob: float | None) -> dict:
        raw = self.decoder.token_bytes(token)
        return {"token": raw.decode("utf-8", "backslashreplace"), "logprob": logprob, "bytes": list(raw)}

    def _name(self, token: int) -> str:
        """The token's text; of a part of a character its bytes, in the form of OpenAI's completions."""
        raw = self.decoder.token_bytes(token)
        text = raw.decode("utf-8", "backslashreplace")
        return text if text.encode("utf-8") == raw else f"bytes:{text}"


def _transcript(choice: Choice) -> dict:
    """Token ids in and out, with the bytes of text that each output token gave (their sum is the text's length)."""
    ids = [event.token for event in choice.events]
    sizes = choice.assembler.token_bytes()
    return {
        "prompt_text": choice.prompt.text, "prompt_tokens": choice.prompt.tokens,
        "output_text": choice.assembler.text,
        "output_tokens": [{"id": token, "bytes": size} for token, size in zip(ids, sizes, strict=True)],
    }  # fmt: skip
