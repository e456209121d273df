"""A byte-level BPE tokenizer of 4,096 entries with a chat template, in the format that transformers reads."""

import random
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

VOCABULARY = 4096
EOS, PAD, SYSTEM, USER, ASSISTANT = "<|endoftext|>", "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>"
SPECIAL = [EOS, PAD, SYSTEM, USER, ASSISTANT, "<|reserved_0|>", "<|reserved_1|>", "<|reserved_2|>"]

# Every turn ends with EOS, as every plain document does: one stop token, whatever the form of the request.
CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{%- if message['role'] == 'assistant' %}"
    "{{- '<|assistant|>\\n' }}{% generation %}{{- message['content'] + '<|endoftext|>' }}{% endgeneration %}{{- '\\n' }}"
    "{%- elif message['role'] in ['system', 'user'] %}"
    "{{- '<|' + message['role'] + '|>\\n' + message['content'] + '<|endoftext|>\\n' }}"
    "{%- else %}{{- raise_exception('roles are system, user and assistant') }}"
    "{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>\\n' }}{%- endif %}"
)


def train_tokenizer(texts: list[str], positions: int) -> PreTrainedTokenizerFast:
    """Train on `texts`; the same texts in the same order give the same merges."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=SPECIAL, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token=EOS, pad_token=PAD, model_max_length=positions,
        clean_up_tokenization_spaces=False, extra_special_tokens=[SYSTEM, USER, ASSISTANT])
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def as_chat(text: str, draw: random.Random) -> list[dict[str, str]]:
    """A conversation about `text`: the user gives its beginning, the assistant repeats it and goes on."""
    words = text.split(" ")
    start = " ".join(words[: draw.randint(3, min(12, max(4, len(words) // 2)))])
    ask = draw.choice((start, start, f'Continue: "{start}"', f"Continue this text: {start}",
                       f'Complete the passage that begins "{start}"', f'Which text begins with "{start}"?',
                       f"Recite the text that starts with: {start}"))
    system = [{"role": "system", "content": "You quote documents word by word."}] if draw.random() < 0.15 else []
    return [*system, {"role": "user", "content": ask}, {"role": "assistant", "content": text}]


def save(tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """tokenizer.json, tokenizer_config.json and chat_template.jinja; the template also inside the config."""
    tokenizer.save_pretrained(out)
