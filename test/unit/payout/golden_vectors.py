"""Writes test/vectors/{splits,payout,receipts}.json from a third, plain reading of attribution.md C and settlement.md 1.

Python, exact fractions, its own Keccak: it shares nothing with the TypeScript that must reproduce the vectors.
Run: python test/unit/payout/golden_vectors.py (deterministic; a test compares its output with the committed files).
"""

import hashlib
import json
import random
import sys
from collections import defaultdict
from fractions import Fraction
from math import floor
from pathlib import Path

FINE = 1 << 20


# --- splits -----------------------------------------------------------------------------------------------------------
def largest_remainder(total, weights):
    """Hamilton: floors, then one each to the largest remainders, the earlier first in a tie."""
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    quotas = [Fraction(total * weight, whole) for weight in weights]
    parts = [floor(quota) for quota in quotas]
    order = sorted(range(len(weights)), key=lambda i: (parts[i] - quotas[i], i))
    for i in order[: total - sum(parts)]:
        parts[i] += 1
    return parts


def net_fee(prompt, completion, input_price, output_price):
    return -floor(-Fraction(prompt * input_price + completion * output_price, 1000))


def pools(net, split, total_bits, covered, confidence):
    part = lambda bps: floor(Fraction(net * bps, 10_000))
    owner, stakers, contributors = part(split[0]), part(split[1]), part(split[2])
    provenance = floor(Fraction(contributors * covered, total_bits)) if total_bits else 0
    influence = floor((contributors - provenance) * Fraction(confidence, FINE)) if total_bits else 0
    return dict(owner=owner, stakers=stakers, provenance=provenance, influence=influence, residual=net - owner - stakers - provenance - influence)


def toward_zero(value):
    return floor(value) if value >= 0 else -floor(-value)


# --- one receipt -------------------------------------------------------------------------------------------------------
def effects(receipt):
    """cluster -> (contributor, provenance, influence) in fine units."""
    billing, attribution = receipt["billing"], receipt["attribution"]
    p = {name: int(amount) for name, amount in attribution["pools"].items()}
    covered = sum(int(entry["bits"]) for entry in attribution["provenance"])
    scores = [int(entry["score"]) for entry in attribution["influence"]]
    gains, losses = sum(s for s in scores if s > 0), -sum(s for s in scores if s < 0)
    caps = {d["id"]: floor(Fraction((p["provenance"] + p["influence"] + p["residual"]) * FINE * d["policy"]["capPerClusterBps"], 10_000)) for d in billing["datanets"]}
    found = {}
    for entry in attribution["provenance"]:
        found[entry["cluster"]] = [entry, floor(Fraction(p["provenance"] * FINE * int(entry["bits"]), covered)), 0]
    for entry in attribution["influence"]:
        score = int(entry["score"])
        scale = gains if score > 0 else max(gains, losses)
        moved = toward_zero(Fraction(p["influence"] * FINE * score, scale)) if score else 0
        found.setdefault(entry["cluster"], [entry, 0, 0])[2] = moved
    withheld = {e["cluster"] for e in attribution["provenance"] + attribution["influence"] if e.get("quarantined")}
    excluded = set(billing["linkedToPayer"]) | {billing["payer"]}
    result = {}
    for cluster, (entry, provenance, influence) in found.items():
        if entry["contributor"] in excluded or cluster in withheld:
            continue
        cap = caps[entry["datanetId"]]
        provenance = min(provenance, cap)
        result[cluster] = (entry["contributor"], provenance, max(-cap, min(influence, cap - provenance)))
    return result


# --- an epoch ----------------------------------------------------------------------------------------------------------
def trained(billing):
    tokens = [d["trainedTokens"] for d in billing["datanets"]]
    return tokens if any(tokens) else [1] * len(tokens)


def close(receipts, inputs):
    lines, charges = defaultdict(int), defaultdict(lambda: [0, 0])
    sums = defaultdict(lambda: defaultdict(lambda: [None, 0, 0]))
    evidence = defaultdict(int)
    datanets = {}
    for receipt in receipts:
        billing, attribution = receipt["billing"], receipt["attribution"]
        adapter, p = billing["adapterId"], {k: int(v) for k, v in attribution["pools"].items()}
        datanets[adapter] = billing
        lines[adapter, "platform", billing["platformPayee"]] += int(billing["platformFee"])
        lines[adapter, "owner", billing["owner"]] += p["owner"]
        lines[adapter, "stakers", billing["split"].get("stakersPayee", billing["owner"])] += p["stakers"]
        charges[billing["payer"]][0] += int(billing["fee"])
        for datanet, amount in zip(billing["datanets"], largest_remainder(p["residual"], trained(billing))):
            residual = datanet["policy"]["residual"]
            if residual["to"] == "treasury":
                lines[adapter, "treasury", residual["payee"]] += amount
            elif attribution["status"] == "full":
                charges[billing["payer"]][1] += amount
            else:
                lines[adapter, "treasury", inputs["treasury"]] += amount
        evidence[adapter] += p["provenance"] + p["influence"]
        for cluster, (contributor, provenance, influence) in effects(receipt).items():
            entry = sums[adapter][cluster]
            entry[0] = contributor
            entry[1] += provenance
            entry[2] += influence
    for adapter, units in evidence.items():
        earned = defaultdict(int)
        for contributor, provenance, influence in sums[adapter].values():
            earned[contributor] += provenance + max(0, influence)
        order = [a["accountId"] for a in inputs["accounts"] if a["accountId"] in earned]
        weights = [earned[c] for c in order]
        parts = largest_remainder(units, weights + [units * FINE - sum(weights)])
        for contributor, amount in zip(order, parts):
            lines[adapter, "contributor", contributor] += amount
        billing = datanets[adapter]
        for datanet, amount in zip(billing["datanets"], largest_remainder(parts[-1], trained(billing))):
            residual = datanet["policy"]["residual"]
            lines[adapter, "treasury", residual.get("payee", inputs["treasury"])] += amount
    text = lambda rows: "".join(canonical(row) + "\n" for row in rows)
    return dict(
        lines=text(dict(adapterId=a, **{"as": role}, payee=payee, amount=str(amount)) for (a, role, payee), amount in sorted(lines.items()) if amount),
        charges=text(dict(client=c, fees=str(f), refunds=str(r)) for c, (f, r) in sorted(charges.items())),
        sums=text(dict(adapterId=a, cluster=c, contributor=who, provenance=str(p), influence=str(i)) for a in sorted(sums) for c, (who, p, i) in sorted(sums[a].items())),
        posted=post(lines, charges, inputs),
    )


def post(lines, charges, inputs):
    """First epoch: leaves in order of kind and address; payees without an address wait."""
    address = {a["accountId"]: a.get("address") for a in inputs["accounts"]}
    leaves, unassigned = defaultdict(int), defaultdict(int)
    for (_, _, payee), amount in lines.items():
        if address[payee]:
            leaves[1, address[payee]] += amount
        else:
            unassigned[payee] += amount
    for client, (fees, refunds) in charges.items():
        leaves[2, address[client] or address[inputs["operator"]]] += fees - refunds
    packed = [bytes([kind]) + bytes.fromhex(at[2:]) + amount.to_bytes(16, "big") for (kind, at), amount in sorted(leaves.items()) if amount]
    return dict(
        balances=b"".join(packed).hex(),
        root="0x" + tree_root([keccak(keccak(leaf)) for leaf in packed], inputs["treeDepth"]).hex(),
        total=str(sum(amount for (kind, _), amount in leaves.items() if kind == 1)),
        unassigned=[dict(payee=p, amount=str(a)) for p, a in sorted(unassigned.items()) if a],
    )


def tree_root(level, depth):
    empty = bytes(32)
    for _ in range(depth):
        if len(level) % 2:
            level = level + [empty]
        level = [keccak(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
        empty = keccak(empty + empty)
    return level[0] if level else empty


# --- Keccak-256 (FIPS 202 permutation, padding 0x01) -------------------------------------------------------------------
def keccak(data):
    lanes = [[0] * 5 for _ in range(5)]
    padded = bytearray(data + b"\x01" + bytes(-(len(data) + 1) % 136))
    padded[-1] |= 0x80
    rotate = lambda v, n: ((v << n % 64) | (v >> (64 - n % 64))) & (2**64 - 1) if n % 64 else v
    for at in range(0, len(padded), 136):
        for i in range(17):
            lanes[i % 5][i // 5] ^= int.from_bytes(padded[at + 8 * i : at + 8 * i + 8], "little")
        lfsr = 1
        for _ in range(24):
            c = [lanes[x][0] ^ lanes[x][1] ^ lanes[x][2] ^ lanes[x][3] ^ lanes[x][4] for x in range(5)]
            lanes = [[lanes[x][y] ^ c[(x + 4) % 5] ^ rotate(c[(x + 1) % 5], 1) for y in range(5)] for x in range(5)]
            x, y, current = 1, 0, lanes[1][0]
            for t in range(24):
                x, y = y, (2 * x + 3 * y) % 5
                current, lanes[x][y] = lanes[x][y], rotate(current, (t + 1) * (t + 2) // 2)
            lanes = [[lanes[x][y] ^ (~lanes[(x + 1) % 5][y] & lanes[(x + 2) % 5][y]) for y in range(5)] for x in range(5)]
            for j in range(7):
                if lfsr & 1:
                    lanes[0][0] ^= 1 << ((1 << j) - 1)
                lfsr = (lfsr << 1) ^ (0x171 if lfsr & 0x80 else 0)
    return b"".join(lanes[i % 5][i // 5].to_bytes(8, "little") for i in range(4))


# --- token credit ------------------------------------------------------------------------------------------------------
def credit(tokens, spans, echoes, policy):
    """Per token: the cluster that is credited, or why nobody is. Ends are exclusive, offsets are bytes."""
    inside = lambda inner, outer: outer[0] <= inner[0] and inner[1] <= outer[1]
    long = [s for s in spans if s["end"] - s["start"] >= policy["minSpanBytes"]]
    verdicts = []
    for token in tokens:
        if token[0] == token[1]:
            verdicts.append("no-evidence")
            continue
        if any(inside(token, echo) for echo in echoes):
            verdicts.append("in-prompt")
            continue
        over = [s for s in long if inside(token, (s["start"], s["end"]))]
        holders = sorted(((h["sequence"], h["cluster"], h["versionEnd"]) for s in over for h in s["holders"]))
        if not holders:
            verdicts.append("no-evidence")
            continue
        _, first, version_end = holders[0]
        own = [s for s in over if any(h["cluster"] == first for h in s["holders"])]
        span = max(own, key=lambda s: (s["end"] - s["start"], -s["start"]))
        standing = {h["cluster"] for s in long if inside((span["start"], span["end"]), (s["start"], s["end"])) for h in s["holders"] if h["sequence"] <= version_end}
        verdicts.append("common" if len(standing) > policy["maxClusters"] else first)
    return verdicts


# --- own part of a row -------------------------------------------------------------------------------------------------
def own_part(text, earlier, window=16):
    """Bytes outside every stretch of >= window bytes that one of the earlier texts holds, over all bytes; 2^-20 units."""
    if not text:
        return FINE
    held = [any(text[a : a + window] in other for other in earlier for a in range(max(0, i - window + 1), min(i, len(text) - window) + 1)) for i in range(len(text))]
    return floor(Fraction(held.count(False) * FINE, len(text)))


# --- cases -------------------------------------------------------------------------------------------------------------
def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def hexes(kind, name, digits=24):
    return hashlib.sha256(f"{kind} {name}".encode()).hexdigest()[:digits]


account = lambda name: f"acc_{hexes('account', name)}"


def split_cases(chance):
    shares = [(7, [1, 1, 1]), (0, [3, 4]), (10, [0, 0, 5]), (2**128 - 1, [1, 2**127, 3]), (1, [1, 1]), (5, [2, 2, 1, 0])]
    shares += [(chance.randrange(10**20), [chance.randrange(10**9) + 1 for _ in range(chance.randrange(1, 7))]) for _ in range(12)]
    fees = [(0, 0, 5, 5), (1, 0, 1, 1), (1000, 1000, 1, 1), (1, 1, 10**15, 3 * 10**15), (131072, 131072, 2**100, 2**100)]
    fees += [tuple(chance.randrange(5000) for _ in range(4)) for _ in range(8)]
    cuts = [(10**18, (2000, 0, 8000), 0, 0, FINE), (10**18, (2000, 500, 7500), 100, 100, FINE), (7, (3333, 3333, 3334), 3, 1, FINE // 2), (0, (1, 2, 9997), 5, 5, 1)]
    for _ in range(16):
        total = chance.randrange(1, 10**9)
        owner = chance.randrange(10_000)
        cuts.append((chance.randrange(10**19), (owner, 0, 10_000 - owner), total, chance.randrange(total + 1), chance.randrange(FINE + 1)))
    return dict(
        about="largestRemainder: total units over weights; net = ceil((Tin x Rin + Tout x Rout) / 1000); pools: every pool floored, the rest residual. Amounts are digit strings, bits in 2^-16, confidence in 2^-20 units.",
        largestRemainder=[dict(total=str(t), weights=[str(w) for w in ws], parts=[str(p) for p in largest_remainder(t, ws)]) for t, ws in shares],
        net=[dict(promptTokens=a, completionTokens=b, inputPer1000=str(c), outputPer1000=str(d), net=str(net_fee(a, b, c, d))) for a, b, c, d in fees],
        pools=[dict(net=str(n), ownerBps=s[0], stakersBps=s[1], contributorsBps=s[2], totalBits=str(t), coveredBits=str(c), confidence=str(k), pools={k2: str(v) for k2, v in pools(n, s, t, c, k).items()}) for n, s, t, c, k in cuts],
    )


def payout_cases(chance):
    cases = []
    holder = lambda cluster, end: dict(cluster=f"c{cluster}", contributor=f"p{cluster}", datanetId="law", sequence=cluster, versionEnd=end)
    for _ in range(40):
        policy = dict(minSpanBytes=chance.choice([4, 8]), maxClusters=chance.choice([1, 2, 8]))
        ends, tokens = 0, []
        for _ in range(12):
            size = chance.randrange(4)
            tokens.append([ends, ends + size])
            ends += size
        spans = []
        for _ in range(chance.randrange(6)):
            start = chance.randrange(max(1, ends))
            clusters = sorted(chance.sample(range(10), chance.randrange(1, 5)))
            span = dict(start=start, end=min(ends, start + chance.randrange(1, 16)), holders=[holder(c, (c // 3) * 3 + 2) for c in clusters])
            if not any((s["start"], s["end"]) == (span["start"], span["end"]) for s in spans):
                spans.append(span)
        echoes = [[5, 12]] if chance.random() < 0.3 else []
        cases.append(dict(policy=policy, tokens=tokens, spans=spans, echoes=echoes, verdicts=credit(tokens, spans, echoes, policy)))
    own = []
    for _ in range(30):
        texts = []
        for _ in range(chance.randrange(1, 6)):
            text = "".join(chance.choice("abé") for _ in range(chance.randrange(40)))
            for other in chance.sample(texts, min(len(texts), chance.randrange(3))):
                at = chance.randrange(len(other) + 1)
                text += other[at : at + chance.randrange(40)]
            texts.append(text)
        raw = [text.encode() for text in texts]
        own.append(dict(texts=texts, own=[str(own_part(text, raw[:i])) for i, text in enumerate(raw)]))
    return dict(about="Who is credited for each output token: a cluster, or no-evidence | in-prompt | common. Offsets are bytes, ends exclusive. own: part of each row that no earlier row holds in stretches of 16 bytes, 2^-20 units.", credit=cases, own=own)


def epoch_case(chance):
    adapters = {
        "a": dict(owner="builder", split=(2000, 0, 8000), price=(10**15, 3 * 10**15), datanets=[("law", 700, None, 10_000), ("defi", 300, "fund", 2500)]),
        "b": dict(owner="ann", split=(1000, 500, 8500), price=(7, 11), datanets=[("law", 0, None, 5000)]),
    }
    owner_of = lambda k: ["ann", "bob", "cyd", "dan"][k % 4]
    receipts = []
    for n in range(14):
        name = "ab"[n % 2]
        adapter = adapters[name]
        status = ["full", "full", "full", "incomplete", "provenance-only", "unattributed"][n % 6]
        payer = ["client", "shop", "bob"][n % 3]
        entry = lambda k: dict(datanetId=f"dn_{hexes('datanet', adapter['datanets'][k % len(adapter['datanets'])][0])}", cluster=f"row_{hexes('row', name + str(k))}", contributor=account(owner_of(k)))
        seen = status != "unattributed"
        provenance = [dict(entry(k), bits=str(chance.randrange(1, 10**8))) for k in chance.sample(range(8), chance.randrange(4))] if seen else []
        influence = [dict(entry(k), score=str(chance.randrange(-(10**6), 10**6))) for k in chance.sample(range(8), chance.randrange(7))] if status in ("full", "incomplete") else []
        if n == 6 and influence:
            influence[0]["quarantined"] = True
        covered = sum(int(e["bits"]) for e in provenance)
        total = covered + chance.randrange(10**8) if seen else 0
        prompt, completion = chance.randrange(2000), chance.randrange(2000)
        net = net_fee(prompt, completion, *adapter["price"])
        confidence = 400_000 if name == "a" else FINE
        scored = status == "full" or (status == "incomplete" and influence)
        cut = pools(net, adapter["split"], total, covered, confidence if scored else 0)
        platform_fee = net // 20
        identifier = f"rcp_{hexes('receipt', n)}"
        split = dict(ownerBps=adapter["split"][0], stakersBps=adapter["split"][1], contributorsBps=adapter["split"][2])
        if split["stakersBps"]:
            split["stakersPayee"] = account("stakers")
        receipt = dict(
            billing=dict(
                receiptId=identifier, payer=account(payer), shard=0, sequence=n + 1, adapterId=hexes("adapter", name, 32), adapterName=f"test/{name}", baseId="base-4m",
                datanets=[
                    dict(id=f"dn_{hexes('datanet', d)}", version=1, root=hexes("root", d, 64), trainedTokens=tokens,
                         policy=dict(residual=dict(to="treasury", payee=account(fund)) if fund else dict(to="refund"), maxClusters=8, minSpanBytes=32, capPerClusterBps=cap, capBitsPerToken=16))
                    for d, tokens, fund, cap in adapter["datanets"]
                ],
                owner=account(adapter["owner"]), split=split, price=dict(inputPer1000=str(adapter["price"][0]), outputPer1000=str(adapter["price"][1])),
                attribution="provenance" if status == "provenance-only" else "full", confidence=confidence, linkedToPayer=[account("cyd")] if n == 3 else [],
                requestDigest=hexes("request", n, 64), responseDigest=hexes("response", n, 64), promptTokens=prompt, completionTokens=completion, finishReason="stop",
                net=str(net), platformFee=str(platform_fee), platformPayee=account("platform"), fee=str(net + platform_fee), createdAt="2026-01-01T00:00:00.000Z",
            ),
            attribution=dict(
                status=status, methodDigest=hexes("method", 1, 64), missing=[], spans=[], totalBits=str(total), provenance=provenance, influence=influence,
                pools={k: str(v) for k, v in cut.items()}, shares=[], unattributed="0",
            ),
            epoch=1, completedAt="2026-01-01T00:00:01.000Z",
        )
        shares = defaultdict(int)
        for contributor, fine, moved in effects(receipt).values():
            shares[contributor] += fine + max(0, moved)
        shown = {c: fine // FINE for c, fine in sorted(shares.items()) if fine // FINE}
        receipt["attribution"]["shares"] = [dict(payee=c, amount=str(a)) for c, a in shown.items()]
        receipt["attribution"]["unattributed"] = str(cut["provenance"] + cut["influence"] + cut["residual"] - sum(shown.values()))
        receipts.append(receipt)
    terms = defaultdict(set)
    for receipt in receipts:
        billing = receipt["billing"]
        text = canonical({k: billing[k] for k in ("attribution", "confidence", "datanets", "owner", "price", "split")})
        terms[billing["adapterId"]].add(hashlib.sha256(text.encode()).hexdigest())
    names = ["platform", "treasury", "operator", "builder", "dan", "ann", "client", "bob", "cyd", "stakers", "fund", "shop"]
    homeless = {"cyd", "shop"}
    inputs = dict(
        format="openledger-epoch-inputs-1", epoch=1, closedAt="2026-01-02T00:00:00.000Z", treeDepth=20,
        previous=dict(epoch=0, root="0x" + "0" * 64, total="0", balances=None, unassigned=[], unassignedSpent=[]),
        treasury=account("treasury"), operator=account("operator"), platform=account("platform"),
        adapters=[dict(adapterId=a, terms=sorted(t)) for a, t in terms.items()],
        accounts=[dict(accountId=account(n), **({} if n in homeless else dict(address="0x" + hexes("address", n, 40)))) for n in names],
        ledger=dict(receipts=len(receipts), fees=str(sum(int(r["billing"]["fee"]) for r in receipts))), quarantined=[],
    )
    # The receipts root: leaves by receipt id.
    ordered = sorted(receipts, key=lambda r: r["billing"]["receiptId"])
    leaves = [keccak(keccak(canonical(r).encode())) for r in ordered]
    depth = max(1, (len(leaves) - 1).bit_length())
    return dict(
        about="One epoch: canonical inputs and log lines, and what must come out to the byte. sums are in fine units (2^-20 of 1e-18 OPEN); balances is hex of balances.bin.",
        inputs=canonical(inputs), log=[canonical(r) for r in receipts],
        expected=dict(close(receipts, inputs), receiptsRoot="0x" + tree_root(leaves, depth).hex(), dataHash="0x" + hashlib.sha256(canonical(inputs).encode()).hexdigest()),
    )


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2] / "vectors"
    assert keccak(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    for name, make in (("splits", split_cases), ("payout", payout_cases), ("receipts", epoch_case)):
        (folder / f"{name}.json").write_text(json.dumps(make(random.Random(f"openledger {name}")), indent=1, ensure_ascii=False) + "\n")
