"""A stand-in for the five gateways: their documented protocols on one port, real MP4s, and a menu of faults."""
