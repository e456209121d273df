"""The targets of attribution.md B against what this run measured; a figure it could not measure says why."""

from .draw import OURS
from .measure import paired


def _entry(figure: str, value, goal: float, unit: str, least: bool = True, why: str | None = None, peer=None) -> dict:
    """`least`: met when value >= goal, else when value <= goal."""
    met = value is not None and (value >= goal if least else value <= goal)
    entry = {"figure": figure, "value": value, "goal": goal, "unit": unit, "met": met}
    if peer is not None:
        entry["peer"] = peer
    if value is None:
        entry["why"] = why or "not measured"
    return entry


def _kronfluence(draw: dict) -> str | None:
    """The setting of kronfluence with the higher LDS in this draw."""
    names = [n for n in draw["results"] if n.startswith("kronfluence")]
    return max(names, key=lambda n: draw["results"][n].figures["lds"]) if names else None


def _hits(draws: list[dict]) -> tuple[list[float], list[float]]:
    """Leave-one-contributor-out hits of these draws' queries, ours and kronfluence's at its better setting."""
    named = [(d["results"], _kronfluence(d)) for d in draws]
    pairs = [(r[OURS].hits, r[best].hits) for r, best in named if best]
    return [h for ours, _ in pairs for h in ours], [h for _, theirs in pairs for h in theirs]


def _left_out(draws: list[dict], absent: str | None) -> dict:
    ours, theirs = _hits(draws)
    found = paired(ours, theirs) if theirs else {}
    peer = found and {"top1": round(sum(theirs) / len(theirs), 4), "ours": round(sum(ours) / len(ours), 4),
                      "standardError": found["standardError"], "queries": len(ours),
                      "byDraw": [paired(*_hits([d])) for d in draws]}
    return _entry("leave-one-contributor-out top-1, above kronfluence's, both draws", found.get("difference"), 0.0, "share",
                  why=absent, peer=peer or None)


def peers_of(draws: list[dict]) -> dict:
    """{name and version: figures of the second draw, or why there are none}."""
    second = draws[1]
    found = {n: r.figures for n, r in second["results"].items() if not n.startswith("ekfac")}
    return found | {name: {"why": why} for name, why in second["missing"].items()}


def reach(draws: list[dict], many: dict, cost: dict) -> list[dict]:
    second, best = draws[1], _kronfluence(draws[1])
    ours, datainf = second["results"][OURS].figures, second["results"]["DataInf"].figures
    absent = second["missing"].get("kronfluence 1.0.1")
    theirs = second["results"][best].figures if best else None
    gap = second["paired"][best] if best else {}
    many_rows = cost["kronfluence"]
    return [
        _entry("LDS above kronfluence EK-FAC (best damping), second draw, paired", gap.get("difference"), 0.015,
               "correlation", why=absent, peer=theirs and {"lds": theirs["lds"], "standardError": gap["standardError"]}),
        _entry("LDS / DataInf, second draw", round(ours["lds"] / datainf["lds"], 3) if datainf["lds"] > 0 else None, 1.5,
               "ratio", why="DataInf's LDS is not positive", peer={"lds": datainf["lds"]}),
        _entry("bytes a row", ours["bytesPerRow"], 514, "bytes", least=False),
        _entry("LDS stored / uncompressed, N >= 2,400", many.get("ratio"), 0.97, "ratio", why=many.get("why"),
               peer=many.get("uncompressed") and {"lds": many["uncompressed"]["lds"], **many["paired"]}),
        _left_out(draws, absent),
        _entry("near-duplicate recall@1, 25% edits", ours["nearDuplicateRecall"], 0.95, "share",
               peer={"DataInf": datainf["nearDuplicateRecall"]}),
        _entry("dot products of a query, per 100,000 rows on one core", cost["dotProductsMs"], 60.0, "ms", least=False),
        _entry("one query beside kronfluence at many rows", many_rows.get("ratio"), 100.0, "ratio",
               why=many_rows.get("why") or absent, peer=many_rows),
        _entry("fit / (one epoch of training x checkpoints)", cost["fitPerEpoch"], 1.0, "ratio", least=False,
               peer={"epochSeconds": cost["epochSeconds"]}),
    ]
