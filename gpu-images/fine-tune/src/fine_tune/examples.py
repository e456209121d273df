"""Rows as token sequences with labels: what the model sees, and on which tokens it is corrected."""

from dataclasses import dataclass

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from fine_tune.refusal import Refusal
from fine_tune.rows import Row

IGNORED = -100


@dataclass(frozen=True)
class Example:
    """One row whole. labels[i] is input_ids[i], or -100 where the token is not trained on."""

    row: Row
    input_ids: list[int]
    labels: list[int]

    @property
    def trained_tokens(self) -> int:
        """Tokens that a loss is taken over; the first of a sequence has nothing before it."""
        return sum(label != IGNORED for label in self.labels[1:])

    def windows(self, length: int) -> list[tuple[list[int], list[int]]]:
        """Pieces of at most `length` tokens of this row alone; pieces without a trained token are left out."""
        cuts = range(0, len(self.input_ids), length)
        pieces = [(self.input_ids[at:at + length], self.labels[at:at + length]) for at in cuts]
        return [(ids, labels) for ids, labels in pieces if any(label != IGNORED for label in labels[1:])]


def with_eos(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> list[int]:
    eos = tokenizer.eos_token_id
    return ids if eos is None or (ids and ids[-1] == eos) else [*ids, eos]


def plain(tokenizer: PreTrainedTokenizerBase, prompt: str, completion: str) -> tuple[list[int], list[int]]:
    """Prompt with the tokenizer's own beginning, then the completion with an end; the loss is on the completion."""
    before = tokenizer(prompt)["input_ids"] if prompt else []
    if before and before[-1] == tokenizer.eos_token_id:
        before = before[:-1]
    after = with_eos(tokenizer, tokenizer(completion, add_special_tokens=not prompt)["input_ids"])
    return [*before, *after], [*([IGNORED] * len(before)), *after]


def folded(messages: list[dict], roles: tuple[str, ...]) -> list[dict]:
    """These roles speak as the user, and turns of one speaker become one: for templates that know fewer roles."""
    out: list[dict] = []
    for message in messages:
        role = "user" if message["role"] in roles else message["role"]
        if out and out[-1]["role"] == role:
            out[-1] = {"role": role, "content": f"{out[-1]['content']}\n\n{message['content']}"}
        else:
            out.append({"role": role, "content": message["content"]})
    return out


def rendered(tokenizer: PreTrainedTokenizerBase, messages: list[dict], where: str) -> tuple[list[dict], dict]:
    """(messages, tokens): as they are, else with tools and at last the system folded into the user's turns."""
    refusals = []
    for roles in (None, ("tool",), ("tool", "system")):
        tried = messages if roles is None else folded(messages, roles)
        try:
            return tried, tokenizer.apply_chat_template(
                tried, tokenize=True, return_dict=True,
                return_assistant_tokens_mask="{% generation" in template_of(tokenizer))
        except TemplateError as error:
            refusals.append(str(error))
    raise Refusal("bad-rows", f"{where}: the base's chat template refuses it: {refusals[-1]}")


def conversation(tokenizer: PreTrainedTokenizerBase, messages: list[dict], where: str) -> tuple[list[int], list[int]]:
    """By the base's chat template; the loss is on what the assistant says. What comes after its last word teaches nothing.

    A template without generation marks cannot tell all answers apart: then the loss is on the last answer.
    """
    said = [at for at, message in enumerate(messages) if message["role"] == "assistant"]
    if not said:
        raise Refusal("bad-rows", f"{where}: no message is the assistant's")
    shown, whole = rendered(tokenizer, messages[: said[-1] + 1], where)
    ids = list(whole["input_ids"])
    if "assistant_masks" in whole:
        return ids, [token if said else IGNORED for token, said in zip(ids, whole["assistant_masks"], strict=True)]
    start = answer_start(tokenizer, shown, ids)
    return ids, [*([IGNORED] * start), *ids[start:]]


def shared(one: list[int], other: list[int]) -> int:
    """Length of the longest common beginning."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def answer_start(tokenizer: PreTrainedTokenizerBase, shown: list[dict], ids: list[int]) -> int:
    """Where the last answer begins in `ids`: as far as the generation prompt is the same tokens.

    A prompt that ends in a space often melts into the answer's first word; that token is trained. A template that shows
    the turns before an answer differently is measured by another answer instead: what both share is not the answer.
    """
    def tokens(turns: list[dict], **more: bool) -> list[int]:
        try:
            return list(tokenizer.apply_chat_template(turns, tokenize=True, return_dict=True, **more)["input_ids"])
        except TemplateError:
            return []
    asked = tokens(shown[:-1], add_generation_prompt=True) if shown[1:] else []
    start = shared(ids, asked)
    if asked and start == len(asked):
        return start
    other = "\u00b6" if not shown[-1]["content"].lstrip().startswith("\u00b6") else "#"
    answer = shared(ids, tokens([*shown[:-1], {**shown[-1], "content": other}]))
    before = shown[-2]["content"].strip() if shown[1:] else ""
    return answer if not start or (before and before in tokenizer.decode(ids[start:answer])) else start


def template_of(tokenizer: PreTrainedTokenizerBase) -> str:
    template = tokenizer.chat_template or ""
    return template.get("default", "") if isinstance(template, dict) else template


def as_example(tokenizer: PreTrainedTokenizerBase, row: Row) -> Example:
    """messages and prompt + completion go through the chat template; a plain text is trained as it stands."""
    if row.messages:
        if not template_of(tokenizer):
            raise Refusal("no-chat-template", f"row {row.id} holds messages, and this base has no chat template")
        ids, labels = conversation(tokenizer, list(row.messages), f"row {row.id}")
    elif row.prompt is not None and row.completion:
        if template_of(tokenizer):
            turns = [{"role": "user", "content": row.prompt}, {"role": "assistant", "content": row.completion}]
            ids, labels = conversation(tokenizer, turns, f"row {row.id}")
        else:
            ids, labels = plain(tokenizer, row.prompt, row.completion)
    else:
        ids, labels = plain(tokenizer, "", row.text)
    return Example(row, ids, labels)


def as_examples(tokenizer: PreTrainedTokenizerBase, rows: list[Row]) -> list[Example]:
    return [as_example(tokenizer, row) for row in rows]
