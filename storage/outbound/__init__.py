"""The guard of connections to addresses that strangers name, in a link or a `notify_url`: which ones are allowed, and a
connection that goes to those alone and can be cut.

Not here: what is sent or read.
"""
