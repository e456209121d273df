"""Contributors' sources: `*.txt` files of a folder, or documentation extracted from the installed packages."""

import ast
import pydoc_data.topics
import re
import sysconfig
from pathlib import Path

CONTRIBUTORS = 12
PACKAGES = ("networkx", "torch", "scipy", "pandas", "numpy", "sympy", "transformers", "botocore", "datasets", "peft",
            "trl", "accelerate", "huggingface_hub", "cryptography", "fastapi", "pyarrow", "pydantic", "hypercorn")
ENOUGH = 150_000


def _docstrings(package: Path):
    for path in sorted(package.rglob("*.py")):
        try:
            tree = ast.parse(path.read_text("utf-8"))
        except (SyntaxError, UnicodeDecodeError, RecursionError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                found = ast.get_docstring(node)
                if found and len(found) > 150:
                    yield found


def _clean(text: str) -> str:
    return re.sub(r"[ \t]+", " ", re.sub(r"\n{2,}", "\n", text)).strip()


def _package_text(package: Path) -> str:
    parts, size, seen = [], 0, set()
    for text in _docstrings(package):
        if text in seen:
            continue
        seen.add(text)
        parts.append(_clean(text))
        size += len(parts[-1])
        if size > ENOUGH:
            break
    return "\n".join(parts)


def built_in() -> dict[str, str]:
    """name -> text, the largest CONTRIBUTORS packages' docstrings by name order."""
    root = Path(sysconfig.get_paths()["purelib"])
    found = {name: _package_text(root / name) for name in PACKAGES if (root / name).is_dir()}
    return {name: text for name, text in found.items() if len(text) > 60_000}


def from_folder(folder: Path) -> dict[str, str]:
    files = sorted(Path(folder).glob("*.txt"))
    return {p.stem: _clean(p.read_text("utf-8", errors="replace")) for p in files}


def pretraining_text() -> str:
    """English that is no contributor's: the Python language reference that ships with the interpreter."""
    return "\n".join(_clean(text) for _, text in sorted(pydoc_data.topics.topics.items()))
