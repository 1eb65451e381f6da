"""implicit's item-item models in an environment of their own.

    python -m bench.peers.implicit.neighbours CosineRecommender PAIRS.npz ANSWERS.npz

PAIRS has `viewers` and `products`, each pair once, and `asked`; ANSWERS gets `found`, the ten
products for each that was asked for, -1 for none. Prints how long it took, as JSON.
"""

import json
import sys
import time

import numpy as np
from implicit import nearest_neighbours
from scipy.sparse import csr_matrix

LIMIT = 10
KEPT = 200


def main() -> None:
    name, source, target = sys.argv[1:]
    given = np.load(source)
    viewers, products, asked = given["viewers"], given["products"], given["asked"]
    size = max(products.max(), asked.max()) + 1
    matrix = csr_matrix(
        (np.ones(viewers.size), (viewers, products)), shape=(viewers.max() + 1, size)
    )
    began = time.process_time(), time.perf_counter()
    model = getattr(nearest_neighbours, name)(K=KEPT, num_threads=1)
    model.fit(matrix, show_progress=False)
    fit = time.process_time() - began[0], time.perf_counter() - began[1]
    found, took = np.full((asked.size, KEPT), -1), []
    for row, product in enumerate(asked):
        since = time.thread_time()
        near, _ = model.similar_items(product, LIMIT + 1)
        took.append(time.thread_time() - since)
        near, _ = model.similar_items(product, KEPT)
        near = near[near != product]
        found[row, : near.size] = near
    np.savez(target, found=found)
    told = {
        "fit_cpu_s": round(fit[0], 2),
        "fit_s": round(fit[1], 2),
        "lookup_p50_ms": round(float(np.quantile(took, 0.5)) * 1e3, 3),
        "lookup_p99_ms": round(float(np.quantile(took, 0.99)) * 1e3, 3),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
