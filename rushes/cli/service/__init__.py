"""The service as the command line asks it: requests and retries, refusals as failures, pages, waiting, downloads.

Not here: printing (`terminal`).
"""
