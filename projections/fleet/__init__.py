"""The fleet's read models: hosts and their services, host aggregates, allocations, heartbeats."""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
