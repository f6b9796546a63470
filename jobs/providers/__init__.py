"""The gateways: one module of tables and pure translation each, what a request must be to fit them, what it costs,
and the one client that asks all of them.

Not here: jobs, rows, and when to ask. A word that only one gateway knows stands in that gateway's module.
"""
