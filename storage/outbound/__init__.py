"""The guard of connections to addresses that strangers name, shared by links, notices and gateways: which addresses
are allowed, and a connection that goes to those alone.

Not here: what is sent or read.
"""
