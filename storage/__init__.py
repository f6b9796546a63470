"""Fetching, proving and storing bytes: the bucket and its keys, the spool, a foreign link's way into it.

Not here: jobs. This package imports none of the others.
"""
