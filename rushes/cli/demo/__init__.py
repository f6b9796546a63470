"""What `rushes demo` does and shows: a job for each gateway, and the picture of their ways.

Not here: the command (`commands/demo.py`), and the servers it runs on (`rushes/local`).
"""
