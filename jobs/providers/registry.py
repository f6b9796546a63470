"""The gateways there are. A new one is a module, a line here and a folder of samples."""

from jobs.providers.aivideoapi import AIVIDEOAPI
from jobs.providers.apiframe import APIFRAME
from jobs.providers.base import Provider
from jobs.providers.easyrouter import EASYROUTER
from jobs.providers.evolink import EVOLINK
from jobs.providers.gravitex import GRAVITEX

PROVIDERS: dict[str, Provider] = {p.name: p for p in (AIVIDEOAPI, APIFRAME, EASYROUTER, GRAVITEX, EVOLINK)}
