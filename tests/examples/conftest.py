from __future__ import annotations

import importlib

# A host imports it when it is made, in a running loop; there the suite forbids it.
importlib.import_module("sqlalchemy.ext.asyncio")
