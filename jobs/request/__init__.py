"""What is wanted: a request as a value, how one is read strictly, and how long its input links live. Pure.

Not here: what one gateway cannot do (`providers`), and keeping the job (`intake`).
"""
