"""What a command prints and how it fails: data on stdout, the rest on stderr, exit statuses, progress.

Not here: anything about jobs.
"""
