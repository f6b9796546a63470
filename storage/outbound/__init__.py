"""Connections to the outside: whom TLS trusts, the deadline that ends each of them, and the guard of those to addresses
that strangers name, in a link or a `notify_url`: which ones are allowed, and a connection that goes to those alone.

Not here: what is sent or read.
"""
