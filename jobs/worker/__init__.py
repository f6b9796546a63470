"""A working Celery process and what it runs: its tasks, how it is put together, the sweep that finds what is due,
the watchdog over stuck steps.

Not here: what a step does (`steps`), and which rows are due (`store`).
"""
