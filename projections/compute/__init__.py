"""Compute's read models: servers, flavors, key pairs, and the queries on them."""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
