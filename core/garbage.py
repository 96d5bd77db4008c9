"""How often Python looks for objects that only hold each other. Code, models, forms and templates are some hundred thousand
objects that stay for as long as the process: by default each of them is walked over again and again."""

import gc

_THRESHOLDS = (50_000, 20, 20)  # Python's own are 700, 10, 10


def look_seldom() -> None:
    """Look after more objects than Python would: a tenth of the processor time of a start is not spent on it."""
    gc.set_threshold(*_THRESHOLDS)


def keep_what_is_there() -> None:
    """Look never again at what there is now. For a server that has started; takes some 100 ms once."""
    gc.collect()
    gc.freeze()
