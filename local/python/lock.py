"""`python local/python/lock.py [UV]`: writes requirements.txt from requirements.in.

One resolution for every platform and Python >= 3.10, each file pinned by hash, no index named. torch is left out, and
with it what only its CUDA build needs: local/setup/torch.ts installs the CPU build. Needs uv (`pip install uv`).
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
GPU_ONLY = re.compile(r"^(torch|triton|nvidia|cuda)[\w.-]*==")
HEADER = "# Written by local/python/lock.py from requirements.in; install with --require-hashes --no-deps.\n"


def main() -> None:
    uv = sys.argv[1] if len(sys.argv) > 1 else "uv"
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as held:
        # A new lock moves no version that the old one holds, unless requirements.in asks for it.
        held.write("\n".join(["torch==2.13.0", *_pins(HERE / "requirements.txt")]))
        held.flush()
        options = ["--universal", "--python-version", "3.10", "--generate-hashes", "--no-emit-index-url",
                   "--no-annotate", "--no-header", "--no-python-downloads", "-c", held.name]  # fmt: skip
        source = str(HERE / "requirements.in")
        done = subprocess.run([uv, "pip", "compile", source, *options], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    blocks = re.split(r"\n(?=\S)", done.stdout.strip())
    kept = [block for block in blocks if not GPU_ONLY.match(block)]
    (HERE / "requirements.txt").write_text(HEADER + "\n".join(kept) + "\n")
    print(f"{len(kept)} packages", file=sys.stderr)


def _pins(lock: Path) -> list[str]:
    if not lock.exists():
        return []
    lines = (line.removesuffix(" \\") for line in lock.read_text().splitlines())
    return [line for line in lines if re.match(r"^[a-z]", line)]


if __name__ == "__main__":
    main()
