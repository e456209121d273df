"""Pre-train a small Llama-shaped model on a stream of documents, each closed by the end-of-text token."""

import math
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from fine_tune.base.corpus import Corpus
from fine_tune.base.tokenizer import as_chat

CHAT_SHARE = 0.3
# The last stage shows these sources this often: the kinds of English that the example's Datanets hold.
FOCUS = {"licences": 4, "natspec": 1}


@dataclass(frozen=True)
class Shape:
    """The model: width 256, 4 layers, 4 heads, tied embeddings: 3.87 M parameters with 4,096 tokens."""

    width: int = 256
    inner: int = 576
    layers: int = 4
    heads: int = 4
    positions: int = 1024


@dataclass(frozen=True)
class Budget:
    """Stop after `minutes`, or after `steps` where that is given (then the run can be repeated exactly)."""

    minutes: float = 15.0
    steps: int | None = None
    tokens_per_step: int = 2048
    block: int = 512
    learning_rate: float = 3e-3


def new_model(tokenizer: PreTrainedTokenizerFast, shape: Shape, seed: int) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=shape.width, intermediate_size=shape.inner,
        num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.heads,
        max_position_embeddings=shape.positions, tie_word_embeddings=True, rms_norm_eps=1e-5,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id))


def chosen_texts(corpus: Corpus, focus: int, draw: random.Random) -> list[str]:
    """Every document as often as its source says; with `focus` n, licence and contract English and n others for each."""
    if not focus:
        return [text for _, repeat, text in corpus.documents for _ in range(repeat)]
    near = [text for source, _, text in corpus.documents for _ in range(FOCUS.get(source, 0))]
    far = [text for source, _, text in corpus.documents if source not in FOCUS]
    return near + draw.sample(far, min(len(far), focus * len(near)))


def stream(corpus: Corpus, tokenizer: PreTrainedTokenizerFast, seed: int, focus: int = 0) -> list[int]:
    """One pass over the documents in a seeded order; three in ten as a conversation, the others as they are."""
    draw = random.Random(seed)
    texts = chosen_texts(corpus, focus, draw)
    draw.shuffle(texts)
    written = []
    for text in texts:
        if draw.random() < CHAT_SHARE:
            chat = as_chat(text.split("\n\n")[0], draw)
            written.append(tokenizer.apply_chat_template(chat, tokenize=False))
        else:
            written.append(text + tokenizer.eos_token)
    encoded = tokenizer(written, add_special_tokens=False)["input_ids"]
    return [token for ids in encoded for token in ids]


def blocks(tokens: torch.Tensor, length: int, batch: int, start: int) -> Iterator[tuple[torch.Tensor, int]]:
    """Batches [batch, length] walking round the stream from `start`, with the position after each; a short stream is repeated."""
    size = length * batch
    tokens = tokens.repeat(-(-size // len(tokens)))
    while True:
        if start + size > len(tokens):
            start = 0
        yield tokens[start:start + size].view(batch, length), start + size
        start += size


def pretrain(model: LlamaForCausalLM, tokens: list[int], budget: Budget) -> dict[str, float]:
    """AdamW, warm-up 3%, cosine to 5%; the last 15% of the run uses blocks of twice the length.

    Returns {"steps", "tokens", "loss"} with the mean loss (nats a token) over the last 50 steps.
    """
    data = torch.tensor(tokens, dtype=torch.long)
    decayed = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
                                  lr=budget.learning_rate, betas=(0.9, 0.95))
    started, step, position, losses = time.monotonic(), 0, 0, []
    model.train()
    while True:
        done = step / budget.steps if budget.steps else (time.monotonic() - started) / (budget.minutes * 60)
        if done >= 1:
            break
        length = min(budget.block if done < 0.85 else budget.block * 2, model.config.max_position_embeddings)
        batch, position = next(blocks(data, length, max(1, budget.tokens_per_step // length), position))
        rate = min(1.0, done / 0.03 + 1e-3) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))
        for group in optimizer.param_groups:
            group["lr"] = budget.learning_rate * rate
        logits = model(input_ids=batch, use_cache=False).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        step += 1
        if step % 25 == 0:
            speed = step * budget.tokens_per_step / (time.monotonic() - started)
            print(f"step {step} {done:.1%} loss {sum(losses[-25:]) / 25:.3f} tokens/s {speed:.0f}", file=sys.stderr, flush=True)
    recent = losses[-50:]
    return {"steps": step, "tokens": step * budget.tokens_per_step, "loss": round(sum(recent) / max(1, len(recent)), 4)}
