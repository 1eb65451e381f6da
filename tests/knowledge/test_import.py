"""Files of entries: read with their mistakes named, and written all or not at all."""

import csv
import io
from contextlib import suppress
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.errors import Problem
from kefu.knowledge.intake import read_file
from kefu.storage.errors import StoreUnavailable
from protocol.codes import ErrorCode
from protocol.knowledge import IMPORT_BYTES, IMPORT_ROWS
from tests.knowledge.shop import Shop

PATH = "/api/knowledge/import"
CSV = "text/csv"
JSON = "application/json"


def problem_of(body: bytes, content_type: str = CSV) -> Problem:
    with pytest.raises(Problem) as caught:
        read_file(body, content_type)
    return caught.value


def test_a_csv_file_is_read_with_its_mistakes_by_line() -> None:
    text = (
        "question,answer,phrasings,tags,locale,enabled\n"
        "运费怎么算,满 199 包邮,包邮吗|邮费多少,物流；费用,zh-CN,是\n"
        "\n"
        '"How long\ndoes it take?",2 to 4 days,,,en,no\n'
        "no answer,,,,,\n"
        "bad language,a,,,fr,\n"
        "bad truth,a,,,,maybe\n"
        "运费怎么算,again,,,zh-CN,\n"
    )
    intake = read_file(text.encode(), CSV)
    fee, time = (row.entry for row in intake.rows)
    assert (fee.phrasings, fee.tags, fee.locale, fee.enabled) == (
        ("包邮吗", "邮费多少"),
        ("物流", "费用"),
        "zh-CN",
        True,
    )
    assert (time.question, time.enabled) == ("How long\ndoes it take?", False)
    assert [row.line for row in intake.rows] == [2, 5]
    assert [problem.line for problem in intake.problems] == [6, 7, 8, 9]
    assert intake.problems[-1].message == "The same question or key as line 2."


def test_columns_may_be_named_in_chinese_and_the_file_may_be_of_a_spreadsheet() -> None:
    text = "问题,答案,其他问法\n退货,点退货,我要退\n"
    for body, kind in (
        (text.encode("utf-8-sig"), CSV),
        (text.encode("gbk"), "text/csv; charset=GBK"),
        (text.encode("gb18030"), 'text/csv; charset="gb2312"'),
        ("問題,答案,其他問法\n退貨,點退貨,我要退\n".encode("big5"), "text/csv; charset=big5"),
    ):
        (row,) = read_file(body, kind).rows
        assert row.entry.phrasings == ("我要退",)


def test_what_cannot_be_read_as_a_whole_is_refused_with_a_reason() -> None:
    assert "charset" in problem_of("问题,答案\n".encode("gbk")).message
    assert "charset" in problem_of(b"question,answer\n", "text/csv; charset=latin-1").message
    assert "first line" in problem_of(b"question,reply\na,b\n").message
    assert "first line" in problem_of(b"question,answer,question\n").message
    assert "no line" in problem_of(b"\n\n").message
    assert "not CSV" in problem_of(b'question,answer\n"a,b\n').message
    assert "JSON" in problem_of(b"{", JSON).message
    assert "list" in problem_of(b'{"entry": []}', JSON).message
    assert "Send" in problem_of(b"", "text/plain").message


def test_json_is_a_list_or_an_object_with_one() -> None:
    entries = [{"question": "a", "answer": "b"}, {"question": "c"}, "d", {"answer": 1}]
    for whole in (entries, {"entries": entries}):
        intake = read_file(msgspec.json.encode(whole), JSON)
        assert [row.entry.question for row in intake.rows] == ["a"]
        assert [problem.line for problem in intake.problems] == [2, 3, 4]


@pytest.mark.parametrize("kind", [CSV, JSON])
def test_an_import_takes_2000_rows(kind: str) -> None:
    def file(count: int) -> bytes:
        if kind == JSON:
            rows = [{"question": f"q{number}", "answer": "a"} for number in range(count)]
            return msgspec.json.encode(rows)
        return ("question,answer\n" + "".join(f"q{n},a\n" for n in range(count))).encode()

    assert len(read_file(file(IMPORT_ROWS), kind).rows) == IMPORT_ROWS
    assert problem_of(file(IMPORT_ROWS + 1), kind).code is ErrorCode.TOO_LARGE


@given(st.binary(max_size=300), st.sampled_from([CSV, JSON, "text/csv; charset=utf-16"]))
def test_any_bytes_are_read_or_refused(body: bytes, kind: str) -> None:
    with suppress(Problem):
        read_file(body, kind)


WORDS = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="|"), min_size=1)


@given(st.lists(st.tuples(WORDS, WORDS, st.lists(WORDS, max_size=3)), max_size=5))
def test_what_a_spreadsheet_writes_is_read_again(rows: list[tuple[str, str, list[str]]]) -> None:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(("question", "answer", "phrasings"))
    writer.writerows((question, answer, "|".join(more)) for question, answer, more in rows)
    intake = read_file(file.getvalue().encode(), CSV)
    assert len(intake.rows) + len(intake.problems) == len(rows)
    by_question = {question.lower(): (answer, tuple(more)) for question, answer, more in rows[::-1]}
    for row in intake.rows:
        said = (row.entry.answer, row.entry.phrasings)
        assert by_question[row.entry.question.lower()] == said


# --- over HTTP ------------------------------------------------------------------------------------


async def send(client: httpx.AsyncClient, text: str, query: str = "") -> dict[str, Any]:
    answer = await client.post(
        PATH + query, content=text.encode(), headers={"Content-Type": "text/csv"}
    )
    assert answer.status_code == 200
    data: dict[str, Any] = answer.json()["data"]
    return data


def counts(result: dict[str, Any]) -> tuple[int, int, int, int]:
    return (
        result["created"],
        result["changed"],
        result["unchanged"],
        result["problem_count"],
    )


async def test_a_dry_run_says_what_would_happen_and_does_nothing(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    result = await send(client, "question,answer\na,b\nc,\n", "?dry_run=true")
    assert (counts(result), result["dry_run"], result["rows"]) == ((1, 0, 0, 1), True, 2)
    assert (await client.get("/api/knowledge")).json()["data"]["total"] == 0
    assert (await client.post(f"{PATH}?dry_run=1", content=b"")).status_code == 400


async def test_a_file_sent_again_changes_what_it_names_and_nothing_twice(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    first = "question,answer,key,locale\nFee?,Free.,fee,en\nTime?,Soon.,,en\n"
    assert counts(await send(client, first)) == (2, 0, 0, 0)
    act = await shop.last_act()
    assert (act.action, act.after) == ("knowledge.imported", {"created": 2, "changed": 0})
    assert counts(await send(client, first)) == (0, 0, 2, 0)
    assert (await shop.last_act()).id == act.id

    second = "question,answer,key,locale\nCosts?,Free.,fee,en\nTIME?,Later.,,en\nNew?,Yes.,,en\n"
    assert counts(await send(client, second)) == (1, 2, 0, 0)
    page = (await client.get("/api/knowledge")).json()["data"]
    said = {each["question"]: each["answer"] for each in page["entries"]}
    assert said == {"Costs?": "Free.", "TIME?": "Later.", "New?": "Yes."}


async def test_a_row_that_means_two_entries_is_a_problem(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    await shop.add("Fee?", key="fee")
    await shop.add("Time?")
    result = await send(client, "question,answer,key\nTime?,Now.,fee\nOther?,Yes.,\n")
    assert counts(result) == (1, 0, 0, 1)
    assert result["problems"][0]["line"] == 2


async def test_one_entry_is_changed_by_one_row(shop: Shop, client: httpx.AsyncClient) -> None:
    await shop.add("A?", key="a")
    result = await send(client, "question,answer,key\nB?,Yes.,a\nA?,No.,\n")
    assert counts(result) == (0, 1, 0, 1)
    assert result["problems"] == [{"line": 3, "message": "The same entry as line 2."}]


async def test_a_file_is_written_whole_or_not_at_all(
    shop: Shop, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise StoreUnavailable("the log cannot be written")

    monkeypatch.setattr(shop.audit, "append", fails)
    text = "question,answer\nA?,Yes.\nB?,No.\n"
    answer = await client.post(PATH, content=text, headers={"Content-Type": CSV})
    assert answer.status_code == 503
    assert (await client.get("/api/knowledge")).json()["data"]["total"] == 0


async def test_a_file_beyond_one_mebibyte_is_refused(client: httpx.AsyncClient) -> None:
    body = b"question,answer\n" + b"a" * IMPORT_BYTES
    answer = await client.post(PATH, content=body, headers={"Content-Type": "text/csv"})
    assert (answer.status_code, answer.json()["code"]) == (413, "TOO_LARGE")
