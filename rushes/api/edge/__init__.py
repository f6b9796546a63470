"""What holds of every request, whatever it is about: keys and limits, strict parsing, problems, request ids, cursors,
long polls, the OpenAPI document.

Not here: any single resource.
"""
