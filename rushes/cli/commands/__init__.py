"""One module per command, named as it is typed, with its options and its words.

Not here: what two commands share (`ordering`, `service`, `terminal`), and the work itself (`jobs`, `rushes/local`).
"""
