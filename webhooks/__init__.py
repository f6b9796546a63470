"""The edge between machines: callbacks in (`receiver.py`), notices out (`delivery.py`).

Not here: the rows of callbacks and notices (`jobs/store`), and what a callback amounts to (`jobs/machine`). The
receiver can be served alone, so that nothing else need face the internet.
"""
