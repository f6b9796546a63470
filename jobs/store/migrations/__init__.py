"""Alembic's environment, for `jobs/store/migrate.py` alone.

Not here: the tables as they are now (`jobs/store/tables.py`).
"""
