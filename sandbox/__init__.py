"""A stand-in for the five gateways: their documented protocols on one port, real MP4s, and a menu of faults.

Not here: anything of the service. Neither imports the other: a misreading that both shared would pass every test.
"""
