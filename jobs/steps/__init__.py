"""What workers do to one job: plan and submit an order, ask about it, archive its video. A step gathers facts, lets
`machine` decide and writes once; it holds a lease while it works.

Not here: the verdicts (`machine`), the guarded writes (`store`), and when a step runs (`worker`).
"""
