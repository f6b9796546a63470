"""The console: pages for people, each made of what the HTTP API answers to the key that signed in.

Not here: anything that the API does not do or tell. A page asks the API, inside the process (`service`), as any client
does.
"""
