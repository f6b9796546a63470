"""One module per step of the tables, numbered, for PostgreSQL and SQLite alike. A released one is never changed.

Not here: imports of our own. A migration must still mean the same when the code has moved on.
"""
