"""`rushes doctor`: one module per part that can be wrong, each finding with what to do.

Not here: mending. The doctor changes nothing that it does not take away again.
"""
