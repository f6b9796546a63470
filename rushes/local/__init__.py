"""The whole service on one machine, for `rushes up`, the demo and the tests: which processes, in which order, and a
Valkey, a SeaweedFS and a PostgreSQL of our own.

Not here: what the processes do. They are the Procfile's.
"""
