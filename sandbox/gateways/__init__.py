"""The five gateways, by name: one module of tables and pure functions each, and how they read a request.

Not here: what all of them do with one (`sandbox/reception.py`).
"""

from sandbox.gateway import Gateway
from sandbox.gateways.aivideoapi import AIVIDEOAPI
from sandbox.gateways.apiframe import APIFRAME
from sandbox.gateways.easyrouter import EASYROUTER
from sandbox.gateways.evolink import EVOLINK
from sandbox.gateways.gravitex import GRAVITEX

GATEWAYS: dict[str, Gateway] = {each.name: each for each in (AIVIDEOAPI, APIFRAME, EASYROUTER, GRAVITEX, EVOLINK)}
REFUSALS = {name: gateway.refusals for name, gateway in GATEWAYS.items()}
