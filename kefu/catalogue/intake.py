"""Files of products, read into rows (`kefu/tables.py` says of which kinds).

A row that is wrong is a problem with its line and does not stop the others. An empty cell says
nothing, so that a file of keys and stocks changes stocks alone.
"""

import re
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct

from kefu.tables import TRUTH, Shape, read_table
from protocol.catalogue import IMPORT_ROWS, ImportedProduct
from protocol.imports import ImportProblem

_COLUMNS: Final = {
    **{name: name for name in ("key", "id", "name", "price", "currency", "stock", "category")},
    **{name: name for name in ("category_id", "image_url", "is_active")},
    **dict.fromkeys(("sku", "编号", "編號", "货号", "貨號", "商品编号", "商品編號"), "key"),
    **dict.fromkeys(("名称", "名稱", "商品名称", "商品名稱"), "name"),
    **dict.fromkeys(("价格", "價格", "售价", "售價"), "price"),
    **dict.fromkeys(("币种", "幣種", "货币", "貨幣"), "currency"),
    **dict.fromkeys(("库存", "庫存"), "stock"),
    **dict.fromkeys(("分类", "分類", "类目", "類目"), "category"),
    **dict.fromkeys(("图片", "圖片"), "image_url"),
    **dict.fromkeys(("上架", "是否上架"), "is_active"),
}
_SIGNS: Final = re.compile(r"[¥￥$,\s]")
_NUMBER: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")


class Row(Struct, frozen=True):
    line: int
    product: ImportedProduct


class Intake(Struct, frozen=True):
    """What a file holds: rows that are right in themselves, and what is wrong with the others."""

    rows: tuple[Row, ...]
    problems: tuple[ImportProblem, ...]


def read_file(body: bytes, content_type: str) -> Intake:
    """Raises `Problem(INVALID_MESSAGE)` for what cannot be read as a whole, and
    `Problem(TOO_LARGE)` for more rows than an import takes."""
    rows, problems, first_lines = [], [], dict[tuple[str, object], int]()
    for line, fields in read_table(body, content_type, _SHAPE):
        try:
            product = msgspec.convert(fields, ImportedProduct)
        except msgspec.ValidationError as error:
            problems.append(ImportProblem(line, str(error)[:300]))
            continue
        names = identities(product)
        twice = min((first_lines[each] for each in names if each in first_lines), default=None)
        if twice is None:
            first_lines.update(dict.fromkeys(names, line))
            rows.append(Row(line, product))
        else:
            problems.append(ImportProblem(line, f"The same id or key as line {twice}."))
    return Intake(tuple(rows), tuple(problems))


def identities(product: ImportedProduct) -> list[tuple[str, object]]:
    """What no two products share, as far as the row says it."""
    both = (("id", product.id), ("key", product.key))
    return [(name, value) for name, value in both if value not in (UNSET, None)]


def _fields(cells: dict[str, str]) -> dict[str, Any]:
    fields: dict[str, Any] = dict(cells)
    for name in {"price", "stock"} & set(cells):
        fields[name] = _number(cells[name])
    if "is_active" in cells:
        fields["is_active"] = TRUTH.get(cells["is_active"].lower(), cells["is_active"])
    return fields


def _number(cell: str) -> int | float | str:
    """As spreadsheets write it, ¥1,299.00; whatever else stays the text that it is."""
    plain = _SIGNS.sub("", cell)
    if not _NUMBER.fullmatch(plain):
        return cell
    number = Decimal(plain)
    return int(number) if number == int(number) else float(number)


_SHAPE: Final = Shape(
    list_name="products",
    columns=_COLUMNS,
    required=frozenset(),
    row_limit=IMPORT_ROWS,
    read_cells=_fields,
)
