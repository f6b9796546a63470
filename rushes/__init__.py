"""The faces that people and programs see: HTTP API, health, metrics, command line, doctor, and the servers that
`rushes up` starts on one machine.

Not here: what a job is. Workers run without this package.
"""
