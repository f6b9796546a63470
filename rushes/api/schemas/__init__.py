"""How requests and answers look: fields, their types and their descriptions, which the reference is made from.

Not here: values. Views give plain JSON, made in `jobs`.
"""
