"""`python -m fine_tune.base_model build|corpus|unigram|digest`: the small base model of the local platform."""

import argparse
import json
import sys
from pathlib import Path

from fine_tune.digest import BASE_CARD, files_digest, folder_digest, folder_files

BASE_ID = "openledger-docs-4m"
REPOSITORY = Path(__file__).resolve().parents[4]


def build(args: argparse.Namespace) -> dict[str, object]:
    """Collect the corpus, train tokenizer and model, write the folder. The last file written is base.json."""
    import torch
    from transformers import AutoTokenizer, GenerationConfig, LlamaForCausalLM

    from fine_tune.base import pretrain, tokenizer, unigram
    from fine_tune.base.corpus import HELD_OUT, collect

    out: Path = args.out
    if out.exists() and any(out.iterdir()) and not args.force:
        sys.exit(f"{out} is not empty (use --force)")
    corpus = collect(args.root)
    if not corpus.documents:
        sys.exit(f"no texts below {args.root}: run npm ci and set-up first")
    print(f"corpus {len(corpus.documents)} documents, {corpus.bytes} bytes, sha256 {corpus.digest}", file=sys.stderr)
    budget = pretrain.Budget(minutes=args.minutes, steps=args.steps, learning_rate=args.learning_rate)
    earlier = []
    if args.start:
        words = AutoTokenizer.from_pretrained(args.start, local_files_only=True)
        model = LlamaForCausalLM.from_pretrained(args.start, dtype=torch.float32, local_files_only=True)
        earlier = json.loads((args.start / BASE_CARD).read_text())["stages"]
    else:
        shape = pretrain.Shape(width=args.width, inner=args.width * 9 // 4, layers=args.layers)
        words = tokenizer.train_tokenizer([text for _, _, text in corpus.documents], shape.positions)
        model = pretrain.new_model(words, shape, args.seed)
    tokens = pretrain.stream(corpus, words, args.seed, args.focus)
    print(f"{len(tokens)} tokens", file=sys.stderr)
    result = pretrain.pretrain(model, tokens, budget)

    out.mkdir(parents=True, exist_ok=True)
    model.generation_config = GenerationConfig(eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id)
    model.to(torch.float16).save_pretrained(out)
    tokenizer.save(words, out)
    everything = tokens if not args.focus else pretrain.stream(corpus, words, args.seed)
    (out / "unigram.bin").write_bytes(unigram.unigram_table(everything, len(words)))
    files = folder_files(out)
    card = {
        "id": BASE_ID,
        "digest": files_digest(files),
        "parameters": model.num_parameters(),
        "files": files,
        "heldOut": list(HELD_OUT),
        "stages": [*earlier, {
            "corpus": {"digest": corpus.digest, "documents": len(corpus.documents), "bytes": corpus.bytes,
                       "tokens": len(tokens), "packages": corpus.packages},
            "recipe": {"command": "python -m fine_tune.base_model build", "seed": args.seed, "focus": args.focus,
                       "chatShare": pretrain.CHAT_SHARE, "budget": vars(budget), "torch": torch.__version__},
            "result": result}],
    }
    (out / BASE_CARD).write_text(json.dumps(card, indent=2, sort_keys=True) + "\n")
    return {"id": BASE_ID, "digest": card["digest"], "parameters": card["parameters"], **result}


def corpus(args: argparse.Namespace) -> dict[str, object]:
    """Write the corpus as JSON lines {"source","text"} to --out, or only count it."""
    from fine_tune.base.corpus import collect

    found = collect(args.root)
    if args.out:
        with args.out.open("w") as file:
            for source, _, text in found.documents:
                file.write(json.dumps({"source": source, "text": text}, ensure_ascii=False) + "\n")
    return {"documents": len(found.documents), "bytes": found.bytes, "digest": found.digest}


def unigram(args: argparse.Namespace) -> dict[str, object]:
    """Write unigram.bin into the folder of any Hugging Face base: every base needs one before it can be attributed."""
    from transformers import AutoTokenizer

    from fine_tune.base.corpus import collect
    from fine_tune.base.unigram import unigram_table

    tokenizer = AutoTokenizer.from_pretrained(args.dir, local_files_only=True, trust_remote_code=False)
    if args.texts:
        lines = args.texts.read_bytes().split(b"\n")
        texts = [json.loads(line)["text"] for line in lines if line.strip()]
    else:
        texts = [text for _, _, text in collect(args.root).documents]
    if not texts:
        sys.exit("no reference texts: give --texts FILE.jsonl, or --root with installed packages")
    tokens = [token for ids in tokenizer(texts, add_special_tokens=False)["input_ids"] for token in ids]
    (args.dir / "unigram.bin").write_bytes(unigram_table(tokens, len(tokenizer)))
    return {"tokens": len(tokens), "vocabulary": len(tokenizer)}


def digest(args: argparse.Namespace) -> dict[str, object]:
    """The folder's digest; where it has a base.json, the exit status says whether the two agree."""
    found = folder_digest(args.dir)
    card = args.dir / BASE_CARD
    stated = json.loads(card.read_text())["digest"] if card.exists() else None
    return {"digest": found, "stated": stated, "agrees": stated in (None, found)}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="base-model", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    make = commands.add_parser("build", help="collect the texts, train tokenizer and model")
    make.add_argument("--out", type=Path, required=True)
    make.add_argument("--minutes", type=float, default=15.0, help="time for the training itself")
    make.add_argument("--steps", type=int, help="a number of steps in place of a time: repeatable")
    make.add_argument("--seed", type=int, default=1)
    make.add_argument("--root", type=Path, default=REPOSITORY, help="folder with node_modules and .venv")
    make.add_argument("--width", type=int, default=256)
    make.add_argument("--layers", type=int, default=4)
    make.add_argument("--learning-rate", type=float, default=3e-3)
    make.add_argument("--from", dest="start", type=Path, help="go on from a folder that this command made")
    make.add_argument("--focus", type=int, default=0, metavar="N",
                      help="a closing stage: licence and contract English, and N other documents for each of theirs")
    make.add_argument("--force", action="store_true")
    make.set_defaults(run=build)
    texts = commands.add_parser("corpus", help="only collect the texts")
    texts.add_argument("--out", type=Path)
    texts.add_argument("--root", type=Path, default=REPOSITORY)
    texts.set_defaults(run=corpus)
    table = commands.add_parser("unigram", help="write unigram.bin for any Hugging Face base")
    table.add_argument("dir", type=Path)
    table.add_argument("--texts", type=Path, help="reference texts, JSON lines {\"text\"}; else the installed packages")
    table.add_argument("--root", type=Path, default=REPOSITORY)
    table.set_defaults(run=unigram)
    check = commands.add_parser("digest", help="digest of a model folder, compared with its base.json")
    check.add_argument("dir", type=Path)
    check.set_defaults(run=digest)
    return top


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    result = args.run(args)
    print(json.dumps(result))
    return 0 if result.get("agrees", True) else 1


if __name__ == "__main__":
    sys.exit(main())
