"""infini-gram from PyPI, bytes as tokens. `ask_infini_gram.py build ROWS DIR | query DIR FILE...`

Its own indexer needs transformers for the tokenizing step, which bytes do not need: the tokenized file is written here
in its format, and its `indexing` command makes the suffix array. Spans are those of attribute(min_len=32); which rows
hold them (a look-up for each occurrence) is not asked, so that its times are a lower bound.
"""

import json
import os
import resource
import struct
import subprocess
import sys
import time

import numpy as np

MIN_LENGTH = 32
verb, *args = sys.argv[1:]


def usage(who: int) -> tuple[float, int]:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


def queries(path: str) -> list[list[int]]:
    data = open(path, "rb").read()
    found, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        found.append(list(data[at + 4 : at + 4 + length]))
        at += 4 + length
    return found


if verb == "build":
    rows, folder = args
    os.makedirs(folder)
    text = np.frombuffer(open(rows, "rb").read(), dtype=np.uint8)
    # A row begins with the separator here, and ends with it in our rows file.
    starts = np.concatenate([[0], np.flatnonzero(text == 0xFF)[:-1] + 1]).astype(np.uint64)
    with open(f"{folder}/tokenized.0", "wb") as out:
        out.write(b"\xff" + text[:-1].tobytes())
    starts.tofile(f"{folder}/offset.0")
    command = [sys.executable, "-m", "infini_gram.indexing", "--data_dir", folder, "--save_dir", folder]
    options = ["--token_dtype", "u8", "--cpus", "1", "--mem", "8", "--ulimit", "1024"]
    subprocess.run(command + options, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (own, own_rss), (theirs, their_rss) = usage(resource.RUSAGE_SELF), usage(resource.RUSAGE_CHILDREN)
    size = sum(entry.stat().st_size for entry in os.scandir(folder) if entry.is_file())
    print(json.dumps({"indexBytes": size, "cpuSeconds": own + theirs, "peakRssBytes": max(own_rss, their_rss)}))
else:
    from infini_gram.engine import InfiniGramEngine

    folder, *files = args
    began = time.perf_counter()
    engine = InfiniGramEngine(
        index_dir=folder, eos_token_id=254, vocab_size=255, version=4, token_dtype="u8", load_to_ram=True
    )
    print(json.dumps({"openSeconds": time.perf_counter() - began}))
    for path in files:
        counts = path.endswith("counts.queries")
        asked = queries(path)

        def ask(query: list[int]):
            if counts:
                return engine.count(query)["count"]
            return engine.attribute(query, delim_ids=[], min_len=MIN_LENGTH, max_cnt=1 << 30, enforce_bow=False)["spans"]

        for query in asked[:2]:
            ask(query)
        for query in asked:
            began = time.perf_counter()
            answer = ask(query)
            ms = (time.perf_counter() - began) * 1000
            said = {"count": answer} if counts else {"spans": [[s["l"], s["r"]] for s in answer]}
            print(json.dumps({"file": path, "ms": ms, **said}))
    print(json.dumps({"peakRssBytes": usage(resource.RUSAGE_SELF)[1]}))
