"""Cut English prose out of Markdown, licence files, Solidity comments, Python docstrings and declaration files.

Every function takes the text of one file and returns a list of documents (strings). Code, tables, badges and
addresses are dropped: the base model shall learn sentences.
"""

import ast
import re

FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.M | re.S)
TAG = re.compile(r"<[^>\n]{1,200}>")
LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)")
ROLE = re.compile(r":[a-z:]+:`~?([^`<]+?)(?:\s*<[^>]*>)?`")
DOC_COMMENT = re.compile(r"/\*\*(.*?)\*/", re.S)
LINE_COMMENTS = re.compile(r"(?:^[ \t]*///[^\n]*\n)+", re.M)
DOC_TAG = re.compile(r"@(?:dev|notice|title|author|custom:[\w-]+|return|returns)\b:?")
RULER = re.compile(r"[*·•\-=_#´:°.+'`˚,/\\]{4,}")


def reads_as_prose(paragraph: str) -> bool:
    """True for 40 characters or more that are mostly ASCII letters and spaces, with at least six words."""
    if len(paragraph) < 40 or len(paragraph.split()) < 6:
        return False
    plain = sum(c.isascii() and (c.isalpha() or c == " ") for c in paragraph)
    return plain / len(paragraph) > 0.8 and "http" not in paragraph


def paragraphs_of(text: str) -> list[str]:
    """Paragraphs as single lines (soft line breaks joined), prose only."""
    joined = (re.sub(r"\s+", " ", part).strip() for part in re.split(r"\n\s*\n", text))
    return [part for part in joined if reads_as_prose(part)]


def grouped(paragraphs: list[str], limit: int = 1600) -> list[str]:
    """Join neighbouring paragraphs to documents of at most `limit` characters (a longer paragraph stands alone)."""
    documents: list[str] = []
    for paragraph in paragraphs:
        if documents and len(documents[-1]) + len(paragraph) < limit:
            documents[-1] += "\n\n" + paragraph
        else:
            documents.append(paragraph)
    return documents


def from_markdown(text: str) -> list[str]:
    text = TAG.sub("", LINK.sub(r"\1", FENCE.sub("", text)))
    lines = [line for line in text.split("\n") if not line.lstrip().startswith(("|", "#", "    ", "[!"))]
    broken = "\n".join("\n" + line.lstrip("-*>+ ") if line.lstrip().startswith(("- ", "* ", "> ", "+ ")) else line
                       for line in lines)
    return grouped(paragraphs_of(broken))


def from_licence(text: str) -> list[str]:
    return grouped(paragraphs_of(text))


def from_solidity(text: str) -> list[str]:
    documents = []
    for block in DOC_COMMENT.findall(text) + LINE_COMMENTS.findall(text):
        lines = [re.sub(r"^\s*(?:///|\*)?\s?", "", line) for line in block.split("\n")]
        body = RULER.sub("\n\n", "\n".join(DOC_TAG.sub("\n\n", line) for line in lines if "@param" not in line))
        documents += grouped(paragraphs_of(body))
    return documents


def from_declarations(text: str) -> list[str]:
    documents = []
    for block in DOC_COMMENT.findall(text):
        body = FENCE.sub("", "\n".join(re.sub(r"^\s*\*\s?", "", line) for line in block.split("\n")))
        body = TAG.sub("", re.sub(r"\{@link [^}\s]*\s*([^}]*)\}", r"\1", body)).split("@example")[0]
        documents += grouped(paragraphs_of(re.sub(r"@\w+[^\n]*", "", body)))
    return documents


def from_python(text: str) -> list[str]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    documents = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        docstring = ast.get_docstring(node) or ""
        body = "\n\n".join(part for part in re.split(r"\n\s*\n", FENCE.sub("", docstring)) if ">>>" not in part)
        documents += grouped(paragraphs_of(ROLE.sub(r"\1", body).replace("``", "").replace("`", "")))
    return documents
