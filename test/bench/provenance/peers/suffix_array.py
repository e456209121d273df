"""`suffix_array.py ROWS ARRAY`: the suffix array of the rows by pydivsufsort, as int32."""

import json
import resource
import sys

import numpy as np
import pydivsufsort

rows, array = sys.argv[1:]
text = np.frombuffer(bytearray(open(rows, "rb").read()), dtype=np.uint8)
pydivsufsort.divsufsort(text).astype(np.int32).tofile(array)
usage = resource.getrusage(resource.RUSAGE_SELF)
cpu_seconds, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
print(json.dumps({"indexBytes": 5 * len(text), "cpuSeconds": cpu_seconds, "peakRssBytes": peak}))
