"""kefu (客服): a realtime customer-service server for online shops.

The version below is the only one: pyproject.toml and the CHANGELOG law read it from here.
"""

__version__ = "0.1.0"
