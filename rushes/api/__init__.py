"""The HTTP API: one module per resource, which checks, calls and answers.

Not here: what holds of every request (`edge`), how requests and answers look (`schemas`), and what an answer is made
of (`jobs/intake`, `jobs/reports`).
"""
