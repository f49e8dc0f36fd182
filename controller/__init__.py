"""cellwright's controller: recipes, interlocks, loops and the batch record of one unit."""

from controller._jit_cache import package_digest as _package_digest
from controller._jit_cache import use as _use_jit_cache

__version__ = "0.1.0"

_use_jit_cache()
_package_digest()
