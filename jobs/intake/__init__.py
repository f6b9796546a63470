"""What clients may ask: to take a job in, to cancel it, to try it again; and the API keys that they ask with.

Not here: how a request reads (`request`), who answers it (`rushes/api`), and any step. What is asked here is a row; a
worker does it.
"""
