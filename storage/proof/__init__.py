"""Whether a file is a video that plays: its boxes, and frames decoded in a confined process.

Not here: whose video it is, and where it goes.
"""
