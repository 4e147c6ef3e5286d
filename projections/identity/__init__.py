"""Identity's read models: a table for each kind of thing, and what authentication asks of them."""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
