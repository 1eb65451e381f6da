"""The catalogue over HTTP: categories in three levels, products, and how they are imported.

In what changes something, what is left out stays and `null` takes away: a category whose
`parent_id` is null goes to the top, a product whose `stock` is null is not counted any more.
"""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from protocol.accounts import WORDS

NAME_CHARS: Final = 100
SLUG_CHARS: Final = 100
PRODUCT_NAME_CHARS: Final = 200
LEVELS: Final = 3
CATEGORIES: Final = 5000
PRODUCTS: Final = 2_000_000
STOCK_ITEMS: Final = 1000
IMPORT_BYTES: Final = 20 * 1024 * 1024
IMPORT_ROWS: Final = 50_000
MAX_INTEGER: Final = 2**31 - 1
MAX_PRICE: Final = 9_999_999_999

# Python's `$` would let a line feed through at the end.
CategoryName = Annotated[str, Meta(min_length=1, max_length=NAME_CHARS, pattern=WORDS)]
Slug = Annotated[str, Meta(min_length=1, max_length=SLUG_CHARS, pattern=r"^[a-z0-9-]+\Z")]
SortOrder = Annotated[int, Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
ProductName = Annotated[str, Meta(min_length=1, max_length=PRODUCT_NAME_CHARS, pattern=WORDS)]
Price = (
    Annotated[int, Meta(ge=0, le=MAX_PRICE)]
    | Annotated[float, Meta(ge=0, le=MAX_PRICE)]
)  # fmt: skip
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
# A picture of the web or of this server; never `javascript:`, nor another host without its scheme.
ImageUrl = Annotated[
    str,
    Meta(max_length=2000, pattern=r"^(https?://[^\s\x00/\\]|/[^\s\x00/\\])[^\s\x00\\]*\Z"),
]
Stock = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
ProductKey = Annotated[str, Meta(min_length=1, max_length=100, pattern=WORDS)]


class NewCategory(Struct, frozen=True, forbid_unknown_fields=True):
    """Without a slug one is made of the name."""

    name: CategoryName
    parent_id: UUID | None = None
    slug: Slug | None = None


class ChangeCategory(Struct, frozen=True, forbid_unknown_fields=True):
    name: CategoryName | UnsetType = UNSET
    slug: Slug | UnsetType = UNSET
    parent_id: UUID | UnsetType | None = UNSET


class CategoryPlace(Struct, frozen=True, forbid_unknown_fields=True):
    id: UUID
    sort_order: SortOrder


class ReorderCategories(Struct, frozen=True, forbid_unknown_fields=True):
    items: Annotated[tuple[CategoryPlace, ...], Meta(min_length=1, max_length=CATEGORIES)]


class CategoryNode(Struct, frozen=True):
    """A category with all below it; `depth` is 0 at the top."""

    id: UUID
    name: str
    slug: str
    parent_id: UUID | None
    sort_order: int
    depth: int
    children: "tuple[CategoryNode, ...]"


class NewProduct(Struct, frozen=True, forbid_unknown_fields=True):
    """`key` is the shop's own number of it. `stock` null is not counted and never sold out."""

    name: ProductName
    price: Price
    id: UUID | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    image_url: ImageUrl | None = None
    category_id: UUID | None = None
    stock: Stock | None = None
    is_active: bool = True
    key: ProductKey | None = None

    def __post_init__(self) -> None:
        _require_cents(self.price)


class ReplaceProduct(Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out is as in a new product."""

    name: ProductName
    price: Price
    currency: Currency | UnsetType = UNSET
    image_url: ImageUrl | None = None
    category_id: UUID | None = None
    stock: Stock | None = None
    is_active: bool = True
    key: ProductKey | None = None

    def __post_init__(self) -> None:
        _require_cents(self.price)


class ChangeProduct(Struct, frozen=True, forbid_unknown_fields=True):
    name: ProductName | UnsetType = UNSET
    price: Price | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    image_url: ImageUrl | UnsetType | None = UNSET
    category_id: UUID | UnsetType | None = UNSET
    stock: Stock | UnsetType | None = UNSET
    is_active: bool | UnsetType = UNSET
    key: ProductKey | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        _require_cents(self.price)


class ImportedProduct(ChangeProduct, frozen=True, forbid_unknown_fields=True):
    """A row of a file: the product with its `id` or `key` is changed, else a new one is made, which
    needs a name and a price. `category` is the slug or the id of one.
    """

    id: UUID | UnsetType = UNSET
    category: Annotated[str, Meta(max_length=SLUG_CHARS)] | UnsetType | None = UNSET


class StockLevel(Struct, frozen=True, forbid_unknown_fields=True):
    id: UUID
    stock: Stock | None


class SetStock(Struct, frozen=True, forbid_unknown_fields=True):
    items: Annotated[tuple[StockLevel, ...], Meta(min_length=1, max_length=STOCK_ITEMS)]


class Product(Struct, frozen=True):
    """A product as those see it who keep the shop."""

    id: UUID
    name: str
    price: int | float
    currency: str
    image_url: str | None
    category_id: UUID | None
    stock: int | None
    is_active: bool
    key: str | None
    created_at: datetime
    updated_at: datetime


class ProductPage(Struct, frozen=True):
    """`total` counts all that fit what was asked for."""

    products: tuple[Product, ...]
    total: int


class ShownProduct(Struct, frozen=True):
    """A product as everybody sees it."""

    id: UUID
    name: str
    price: int | float
    currency: str
    image_url: str | None
    category_id: UUID | None
    stock: int | None
    is_active: bool


class ShownPage(Struct, frozen=True):
    """To count all would cost too much for everybody who asks; `has_more` says that there are."""

    products: tuple[ShownProduct, ...]
    has_more: bool


def _require_cents(price: object) -> None:
    """Raises ValueError, which msgspec takes for its own; the place is written as it does."""
    if isinstance(price, float) and round(price, 2) != price:
        raise ValueError("Expected at most two decimals - at `$.price`")
