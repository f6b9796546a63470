"""What `rushes submit` and its kin do: batches, orders, quotes, and commands about several jobs.

Not here: one request to the service (`service`).
"""
