"""Everything that is checked; README.md says where what is."""

from pkgutil import iter_modules

import pytest

# Helpers assert, too: they shall say what they found.
pytest.register_assert_rewrite(*(f"{__name__}.{each.name}" for each in iter_modules(__path__)))
