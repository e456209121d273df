"""Python 3.10 is what we promise: no call, no syntax that only a newer one has (this machine's may be newer)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
OURS = ("local", "gpu-images", "test", "contracts")
FOREIGN = {"node_modules", ".venv", "out", "cache"}


def test_everything_runs_on_python_3_10():
    files = [
        str(path)
        for folder in OURS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not FOREIGN & set(path.relative_to(ROOT).parts)
    ]
    assert len(files) > 100
    vermin = str(Path(sys.executable).with_name("vermin"))
    command = [vermin, "--target=3.10-", "--backport=typing", "--violations", "--no-tips", *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
