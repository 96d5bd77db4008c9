"""A worker: scale it up with `worker=1` and watch the logs."""

import itertools
import os
import signal
import threading

stop = threading.Event()
for name in (signal.SIGTERM, signal.SIGINT):
    signal.signal(name, lambda *_: stop.set())

for job in itertools.count(1):
    print(f"{os.environ.get('DYNO', 'worker.?')} did job {job}", flush=True)
    if stop.wait(5):
        break
print("finishing up", flush=True)
