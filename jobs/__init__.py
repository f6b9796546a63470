"""What a job is, how it moves, and how a gateway is asked. Beside the rooms stand the entry point of workers, the
settings, the broker and its doorbells, callback URLs, logs, what is measured and tallied, the gate, and the errors that
all rooms share.

Not here: the API and the commands (`rushes`), callbacks in and notices out (`webhooks`), bytes (`storage`). No Flask.
"""
