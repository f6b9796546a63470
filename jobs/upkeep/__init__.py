"""What operators run on rows and bucket: the audit and its repairs, pruning, and the runbook after a restore.

Not here: anything that a job needs to reach its end. Nothing in this room runs by itself.
"""
