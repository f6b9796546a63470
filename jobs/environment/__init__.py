"""The environment, one variable at a time: numbers, servers, gateways, callers, and names that are no settings.

Not here: what the service makes of them all (`settings`), and what a gateway's page says (`providers`).
"""
