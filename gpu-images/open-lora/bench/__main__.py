"""The Python part of `npm run bench:open-lora`: `python bench --part throughput --seed N [--quick] [--device cuda]`."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from importlib.metadata import version

import torch

PARTS = ("throughput", "loading", "serving", "zipf")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--part", choices=PARTS, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        print(f"--device cuda: torch {torch.__version__} finds no CUDA device on this machine", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    measure = importlib.import_module(args.part).measure
    figures = measure(args.seed, args.quick, args.device, lambda text: print(text, file=sys.stderr, flush=True))
    print(json.dumps({**figures, "peft version": version("peft")}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
