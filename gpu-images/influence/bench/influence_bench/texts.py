"""Contributors' sources: `*.txt` files of a folder, or documentation extracted from the installed packages."""

import ast
import pydoc_data.topics
import random
import re
import sysconfig
from pathlib import Path

CONTRIBUTORS, FEWEST = 12, 15
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
    """name -> up to ENOUGH characters of a package's docstrings."""
    root = Path(sysconfig.get_paths()["purelib"])
    found = {name: _package_text(root / name) for name in PACKAGES if (root / name).is_dir()}
    return {name: text for name, text in found.items() if len(text) > 60_000}


def from_folder(folder: Path) -> dict[str, str]:
    """name -> text of each `*.txt` in the folder; bytes that are not UTF-8 are replaced."""
    files = sorted(Path(folder).glob("*.txt"))
    return {p.stem: _clean(p.read_text("utf-8", errors="replace"))[: 8 * ENOUGH] for p in files}


def _reference() -> str:
    """English that is no contributor's: the Python language reference that ships with the interpreter."""
    return "\n".join(_clean(text) for _, text in sorted(pydoc_data.topics.topics.items()))


def divide(sources: dict[str, str], seed: int) -> tuple[dict[str, str], str]:
    """(12 contributors' texts, the text that the base is pre-trained on): what no contributor was drawn for goes to
    the base, beside the language reference. Raises SystemExit naming what is missing."""
    if len(sources) < FEWEST:
        raise SystemExit(f"{len(sources)} sources of text, {FEWEST} are needed")
    chosen = set(random.Random(seed).sample(sorted(sources), CONTRIBUTORS))
    rest = [text[:ENOUGH] for name, text in sorted(sources.items()) if name not in chosen]
    return {name: sources[name] for name in chosen}, "\n".join([_reference(), *rest])
