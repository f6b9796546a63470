"""The rows: tables and migrations, reading a job's case, leases and other guarded writes, which rows are due,
callbacks, notices, spending, lanes. The caller opens the transaction, commits, and then rings.

Not here: what a row's facts amount to (`machine`), and reports that only read (`reports`).
"""
