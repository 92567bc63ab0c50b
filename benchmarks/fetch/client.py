"""One Python client, one file or list, in a process of its own: ``… client NAME JSON``.

Imports are done before the clock starts; the seconds that it prints are the transfer's.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable

Order = dict[str, Any]
Client = Callable[[Order], Callable[[], object]]
CHUNK = 2**20


def zoo(order: Order) -> Callable[[], object]:
    """The engine: stream, hash, resumable partial file."""
    from zoo.records import FileSpec
    from zoo.transfer import Request, Settings, connections, download, using

    connections.pool(connections.route(("http", "127.0.0.1", 1), (), None), True)
    spec = FileSpec("file", order["sha256"], order["size"], ())

    def run() -> None:
        with using(Settings(allow_private=True, connections=order.get("connections", 8))):
            download(Request(order["url"]), Path(order["to"]), spec, lambda done, total: None)

    return run


def zoo_store(order: Order) -> Callable[[], object]:
    """The whole `fetch`: locks, store, fsync. Many files go through `fetch_many`."""
    from zoo.fetchers import FetchOptions, fetch, fetch_many
    from zoo.records import FileSpec
    from zoo.store import Store
    from zoo.transfer import connections

    connections.pool(connections.route(("http", "127.0.0.1", 1), (), None), True)
    store, options = Store(Path(order["to"])), FetchOptions(allow_private=True)
    if "many" in order:
        specs = [FileSpec(name, sha, size, (url,)) for name, url, sha, size in order["many"]]
        return lambda: fetch_many(specs, store, options)
    spec = FileSpec("file", order["sha256"], order["size"], (order["url"],))
    return lambda: fetch(spec, store, options)


def raw(order: Order) -> Callable[[], object]:
    """The limit: http.client, `readinto` one buffer, hash in a second thread, write."""
    import http.client
    from urllib.parse import urlsplit

    parts = urlsplit(order["url"])

    def run() -> None:
        connection = http.client.HTTPConnection(parts.netloc)
        connection.request("GET", parts.path)
        response = connection.getresponse()
        digest = hashlib.sha256()
        free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        full: queue.SimpleQueue[tuple[bytearray, int] | None] = queue.SimpleQueue()
        for _ in range(4):
            free.put(bytearray(CHUNK))

        def follow() -> None:
            while (item := full.get()) is not None:
                digest.update(memoryview(item[0])[: item[1]])
                free.put(item[0])

        thread = threading.Thread(target=follow)
        thread.start()
        with Path(order["to"]).open("wb", buffering=0) as sink:
            while count := response.readinto(buffer := free.get()):
                sink.write(memoryview(buffer)[:count])
                full.put((buffer, count))
        full.put(None)
        thread.join()
        assert digest.hexdigest() == order["sha256"]

    return run


def pool(order: Order) -> Callable[[], object]:
    """The limit for many files: a bare urllib3 pool of 32 threads, hashing, no store."""
    from concurrent.futures import ThreadPoolExecutor

    import urllib3

    client = urllib3.PoolManager(maxsize=32)
    folder = Path(order["to"])
    folder.mkdir()

    def one(item: tuple[str, str, str, int]) -> None:
        name, url, sha256, _ = item
        data = client.request("GET", url).data
        assert hashlib.sha256(data).hexdigest() == sha256
        (folder / name).write_bytes(data)

    def run() -> None:
        with ThreadPoolExecutor(32) as workers:
            list(workers.map(one, order["many"]))

    return run


def pooch(order: Order) -> Callable[[], object]:
    """pooch, which hashes after the download."""
    import pooch as client  # type: ignore[import-untyped,unused-ignore]

    logging.getLogger("pooch").setLevel(logging.ERROR)
    files = order.get("many") or [("file", order["url"], order["sha256"], order["size"])]

    def run() -> None:
        for name, url, sha256, _ in files:
            client.retrieve(url, known_hash=f"sha256:{sha256}", fname=name, path=order["to"])

    return run


def huggingface_hub(order: Order) -> Callable[[], object]:
    """huggingface_hub, which does not hash."""
    os.environ.update(HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_PROGRESS_BARS="1", HF_HUB_DISABLE_TELEMETRY="1")
    from huggingface_hub import hf_hub_download

    base, _, name = order["url"].rpartition("/")
    return lambda: hf_hub_download("org/repo", name, cache_dir=order["to"], endpoint=base, token=False)


def main() -> None:
    """Run the client that is named, and print the seconds it took."""
    run = globals()[sys.argv[1]](json.loads(sys.argv[2]))
    began = time.perf_counter()
    run()
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
