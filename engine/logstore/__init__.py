"""Where lines of output are kept: append-only segment files, a folder for each stream.

A stream (`app/<uuid>`, `build/<uuid>`, `release/<uuid>`) numbers its lines 1, 2, 3 …; the number is the line's
position, so it can have no gap and no twin. Any number of threads and processes may append and read at once.
"""

from engine.logstore.harmless import harmless, is_error, is_warning
from engine.logstore.histogram import Bucket, Histogram
from engine.logstore.keep import Held, Keep
from engine.logstore.records import Entry
from engine.logstore.search import KINDS, Found, Query
from engine.logstore.store import LogStore

__all__ = [
    "KINDS",
    "Bucket",
    "Entry",
    "Found",
    "Held",
    "Histogram",
    "Keep",
    "LogStore",
    "Query",
    "harmless",
    "is_error",
    "is_warning",
]
