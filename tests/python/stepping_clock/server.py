"""A server that follows a stream, for `clock_steps_test`: stdin has positions, stdout what was seen when they were there."""

import json
import sys
import time

import numpy as np

import tf_hps

table = tf_hps.Table("movie_id", tf_hps.Config.load(sys.argv[1]))
print(json.dumps({"generation": table.generation}), flush=True)
for line in sys.stdin:
    position = line.strip()
    end = time.monotonic() + 10.0
    table.wait_until(position, 10.0)
    updates = table.stats()["updates"]
    while updates["state"] != "following" and time.monotonic() < end:
        time.sleep(0.01)
        updates = table.stats()["updates"]
    rows = tf_hps.embedding_lookup(table, np.arange(3)).numpy()
    seen = {"rows": rows[:, 0].tolist(), "lag_ms": updates["lag_ms"], "state": updates["state"]}
    print(json.dumps({**seen, "growth": updates["growth"], "now": time.time()}), flush=True)
