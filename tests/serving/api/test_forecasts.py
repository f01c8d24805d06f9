"""Forecasts over HTTP."""

import csv
import io
from typing import Any

import pyarrow.parquet as pq
import pytest

from foreact.publications.contract import object_name
from tests.serving import shop
from tests.serving.conftest import Serving


def published_rows(serving: Serving, store: str) -> list[dict[str, Any]]:
    data = serving.store.open(object_name("run-1", store, "forecasts"))
    with data:
        return pq.read_table(data).to_pylist()


def test_an_answer_says_where_its_numbers_come_from(serving: Serving) -> None:
    answer = serving.get("/v1/forecasts?store=S1&item=item-0002")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["publication"]["version"] == 1
    assert body["publication"]["timezone"] == "UTC"
    source = body["stores"]["S1"]
    assert source["model"] == {"name": "foreact-S1", "version": "3", "run": ""}
    assert source["as_of"] == "2026-03-01"
    assert source["generated_at"] == "2026-03-02T04:00:00+00:00"
    assert source["freshness"]["state"] == "fresh"
    assert answer.headers["foreact-publication"] == "1"
    assert answer.headers["foreact-staleness"] == "fresh"


def test_rows_are_those_published_to_the_last_bit(serving: Serving) -> None:
    rows = serving.get("/v1/forecasts?store=S2").json()["rows"]
    expected = published_rows(serving, "S2")
    assert len(rows) == len(expected) == 6 * 14
    for row, published in zip(rows, expected, strict=True):
        assert (row["item"], row["date"]) == (published["item"], str(published["date"]))
        for quantity in ("mean", "p10", "p50", "p90"):
            assert row[quantity] == pytest.approx(published[quantity], rel=1e-7)


def test_items_and_days_narrow_the_answer(serving: Serving) -> None:
    query = "store=S1&store=S2&item=item-0001&item=item-0003&start=2026-03-04&end=2026-03-05"
    rows = serving.get(f"/v1/forecasts?{query}").json()["rows"]
    keys = [(row["store"], row["item"], row["date"]) for row in rows]
    assert keys == sorted(keys)
    assert len(keys) == 2 * 2 * 2
    assert {day for _, _, day in keys} == {"2026-03-04", "2026-03-05"}


def test_pages_put_together_are_the_whole(serving: Serving) -> None:
    whole = serving.get("/v1/forecasts").json()
    assert whole["next"] is None
    rows, cursor, pages = [], "", 0
    while cursor is not None:
        page = serving.get(f"/v1/forecasts?limit=50{f'&cursor={cursor}' if cursor else ''}").json()
        assert len(page["rows"]) <= 50
        rows, cursor, pages = rows + page["rows"], page["next"], pages + 1
    assert rows == whole["rows"]
    assert pages == 6


def test_a_cursor_ends_with_its_publication(serving: Serving) -> None:
    cursor = serving.get("/v1/forecasts?limit=50").json()["next"]
    shop.publish(serving.store, run="run-2", seed=2)
    serving.refresh()
    answer = serving.get(f"/v1/forecasts?limit=50&cursor={cursor}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "publication_changed")
    assert serving.get("/v1/forecasts?cursor=nonsense").json()["error"]["code"] == "invalid_cursor"


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/csv;q=0.5, application/json", "application/csv"])
def test_rows_are_json_unless_csv_is_wanted_more(serving: Serving, accept: str) -> None:
    for query in ("", "?store=S1&item=item-0001"):
        answer = serving.get(f"/v1/forecasts{query}", headers={"accept": accept})
        assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("way", ["?format=csv", "text/csv", "text/csv, application/json;q=0.5, */*;q=0.1"])
def test_csv_has_the_same_rows(serving: Serving, way: str) -> None:
    asked, headers = (way, {}) if way.startswith("?") else ("", {"accept": way})
    answer = serving.get(f"/v1/forecasts{asked}", headers=headers)
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["foreact-as-of"] == "2026-03-01"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    expected = serving.get("/v1/forecasts").json()["rows"]
    assert [{**row, **{key: float(row[key]) for key in ("mean", "p10", "p50", "p90")}} for row in rows] == expected


def test_more_quantiles_are_there_when_asked_for_beside_stores_published_without(serving: Serving) -> None:
    shop.publish(serving.store, ["S3"], run="run-2", seed=2, shares=(0.025, 0.1, 0.5, 0.9, 0.975))
    serving.refresh()
    usual = serving.get("/v1/forecasts").json()["rows"]
    assert set(usual[0]) == {"store", "item", "date", "mean", "p10", "p50", "p90"}
    for path in ("/v1/forecasts", "/v1/totals"):
        rows = serving.get(f"{path}?quantiles=p97.5,p50").json()["rows"]
        assert all(row["p97.5"] > row["p90"] for row in rows if row["store"] == "S3")
        assert {row["p97.5"] for row in rows if row["store"] != "S3"} == {None}
        text = serving.get(f"{path}?quantiles=p97.5&store=S3&format=csv").text
        assert [float(row["p97.5"]) for row in csv.DictReader(io.StringIO(text))] == [
            row["p97.5"] for row in rows if row["store"] == "S3"
        ]
    medians = {row["store"]: row["p50"] is None for row in serving.get("/v1/totals").json()["rows"]}
    assert medians == {"S1": True, "S2": True, "S3": False}
    bulk = {"queries": [{"store": "S3", "item": "item-0001"}], "quantiles": "p2.5"}
    (result,) = serving.post("/v1/forecasts/query", json=bulk).json()["results"]
    assert all(row["p2.5"] < row["p10"] for row in result["rows"])
    refused = serving.get("/v1/forecasts?quantiles=p99").json()["error"]
    assert (refused["code"], "p2.5, p10, p50, p90, p97.5" in refused["message"]) == ("invalid_parameter", True)
    assert serving.get("/v1/stores/S3").json()["store"]["quantiles"] == ["p2.5", "p10", "p50", "p90", "p97.5"]


def test_each_encoding_has_its_own_tag(serving: Serving) -> None:
    for path in ("/v1/forecasts?store=S1", "/v1/forecasts?store=S1&item=item-0001", "/v1/totals?format=csv"):
        packed, plain = (serving.get(path, headers={"accept-encoding": kind}) for kind in ("gzip", "identity"))
        assert packed.headers["etag"] != plain.headers["etag"]
        assert packed.content == plain.content


@pytest.mark.parametrize("path", ["/v1/forecasts?store=S1", "/v1/totals?store=S1&format=csv", "/v1/stores/S1"])
def test_a_known_answer_is_not_sent_again(serving: Serving, path: str) -> None:
    def ask(held: str, encoding: str) -> Any:
        return serving.get(path, headers={"if-none-match": held, "accept-encoding": encoding})

    packed = serving.get(path, headers={"accept-encoding": "gzip"}).headers["etag"]
    plain = serving.get(path, headers={"accept-encoding": "identity"}).headers["etag"]
    known = [(packed, "gzip", packed), (plain, "identity", plain), (plain, "gzip", plain), ("*", "identity", plain)]
    known += [(f'"other", W/{packed}', "gzip", packed), (f'W/{plain},"other"', "identity", plain)]
    for held, encoding, told in known:
        answer = ask(held, encoding)
        assert (answer.status_code, answer.headers["etag"], answer.content) == (304, told, b""), (held, encoding)
        assert answer.headers["vary"] == "authorization, cookie, accept, accept-encoding"
    for held, encoding in (('"other"', "gzip"), ("", "gzip"), (f"{plain[1:-1]}", "identity"), ('"*"', "identity")):
        assert ask(held, encoding).status_code == 200, (held, encoding)
    if packed != plain:
        assert ask(packed, "identity").status_code == 200, "what the caller holds is not what it can take"
    assert serving.get("/v1/forecasts?store=S2", headers={"if-none-match": f"{plain}, {packed}"}).status_code == 200


def test_a_tag_changes_when_the_promise_breaks(serving: Serving) -> None:
    first = serving.get("/v1/forecasts?store=S1")
    serving.clock.now = serving.clock.now.replace(day=4)
    later = serving.get("/v1/forecasts?store=S1", headers={"if-none-match": first.headers["etag"]})
    assert later.status_code == 200
    assert later.json()["stores"]["S1"]["freshness"]["state"] == "stale"
    assert later.headers["foreact-staleness"] == "stale"


def test_answers_are_compressed_for_those_who_ask(serving: Serving) -> None:
    packed = serving.get("/v1/forecasts", headers={"accept-encoding": "gzip"})
    plain = serving.get("/v1/forecasts", headers={"accept-encoding": "identity"})
    refused = serving.get("/v1/forecasts", headers={"accept-encoding": "br, gzip;q=0"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in refused.headers
    assert packed.json() == plain.json()


def test_a_bulk_query_answers_each_question(serving: Serving) -> None:
    queries = [
        {"store": "S1", "item": "item-0001", "start": "2026-03-03", "end": "2026-03-03"},
        {"store": "S9", "item": "item-0001"},
        {"store": "S1", "item": "nothing"},
        {"store": "S2", "item": "item-0001", "start": "2026-03-05", "end": "2026-03-03"},
        {"store": "S2", "item": "item-0001", "start": "2030-01-01"},
        {"store": "S2", "item": "item-0001", "end": "2026-02-30"},
        *({"store": "S2", "item": "item-0001", "start": day} for day in ("20260303", "2026-W10-2", "")),
    ]
    answer = serving.post("/v1/forecasts/query", json={"queries": queries})
    body = answer.json()
    results = body["results"]
    assert [result["error"] and result["error"]["code"] for result in results] == [
        None,
        "store_not_found",
        "item_not_found",
        "invalid_parameter",
        None,
        *["invalid_parameter"] * 4,
    ]
    assert results[6]["error"]["message"] == "write a day as 2026-12-24"
    assert len(results[0]["rows"]) == 1
    assert results[4]["rows"] == []
    assert set(body["stores"]) == {"S1", "S2"}
    assert (answer.headers["foreact-publication"], answer.headers["content-encoding"]) == ("1", "gzip")
    # What is asked by POST is answered, known or not; another caller's answer is another.
    known = {"if-none-match": answer.headers["etag"]}
    assert serving.post("/v1/forecasts/query", headers=known, json={"queries": queries}).json() == body
    mine = serving.post("/v1/forecasts/query", "viewer", headers=known, json={"queries": queries})
    assert [result["error"] and result["error"]["code"] for result in mine.json()["results"]][4] == "store_not_found"
    assert mine.headers["etag"] != answer.headers["etag"]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("store=S9", 404, "store_not_found"),
        ("store=S1&item=nothing", 404, "item_not_found"),
        ("start=2026-03-09&end=2026-03-02", 422, "invalid_parameter"),
        ("start=yesterday", 422, "invalid_parameter"),
        ("start=0", 422, "invalid_parameter"),
        ("start=1700006400", 422, "invalid_parameter"),
        ("start=-2026-01-01", 422, "invalid_parameter"),
        ("start=2026-03-04T00:00:00", 422, "invalid_parameter"),
        ("limit=0", 422, "invalid_parameter"),
        ("format=xml", 422, "invalid_parameter"),
        ("stroe=S1", 422, "invalid_parameter"),
        ("limit=5&limit=6", 422, "invalid_parameter"),
    ],
)
def test_a_problem_has_one_shape(serving: Serving, query: str, status: int, code: str) -> None:
    answer = serving.get(f"/v1/forecasts?{query}")
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("path", "where", "problem"),
    [
        ("/v1/forecasts?stroe=S1", "query.stroe", "there is no such parameter; did you mean 'store'?"),
        ("/v1/alerts?store=S1&Limit=2", "query.Limit", "there is no such parameter; did you mean 'limit'?"),
        ("/v1/stores/S1?a", "query.a", "there is no such parameter; there are none"),
        ("/v1/publications?x=1", "query.x", "there is no such parameter; there are limit"),
        ("/v1/totals?start=2026-03-02&start=2026-03-03", "query.start", "it may be given only once"),
        (f"/v1/totals?{'x' * 3_000}=1", f"query.{'x' * 100}", "there is no such parameter; there are "),
    ],
)
def test_a_question_that_would_be_half_ignored_is_refused(
    serving: Serving, path: str, where: str, problem: str
) -> None:
    answer = serving.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_parameter")
    (detail,) = answer.json()["error"]["details"]
    assert detail["where"] == where
    assert detail["problem"].startswith(problem)
    assert where in answer.json()["error"]["message"]


def test_lists_take_several_values_and_pages_take_what_mails_append(serving: Serving) -> None:
    assert serving.get("/v1/totals?store=S1&store=S2").status_code == 200
    assert serving.get("/?utm_source=mail").status_code == 200


def test_totals_history_drivers(serving: Serving) -> None:
    totals = serving.get("/v1/totals?store=S1").json()["rows"]
    assert len(totals) == 14
    assert set(totals[0]) == {"store", "date", "mean", "p10", "p50", "p90"}
    drivers = serving.get("/v1/drivers?store=S1").json()["rows"]
    for total in totals:
        moved = sum(row["units"] for row in drivers if row["date"] == total["date"])
        assert moved == pytest.approx(total["mean"], rel=1e-4)
    past = serving.get("/v1/history?store=S1").json()["rows"]
    items = [serving.get(f"/v1/history?store=S1&item=item-000{n}").json()["rows"] for n in range(6)]
    assert len(past) == len(items[0]) == 56 + 14 + 56
    assert past[0]["units"] == sum(rows[0]["units"] for rows in items)


def test_callers_see_only_their_stores(serving: Serving) -> None:
    assert {row["store"] for row in serving.get("/v1/totals", "viewer").json()["rows"]} == {"S1"}
    assert {row["store"] for row in serving.get("/v1/totals", "planner").json()["rows"]} == {"S1", "S2"}
    hidden = serving.get("/v1/totals?store=S3", "planner")
    absent = serving.get("/v1/totals?store=S9", "planner")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.json()["error"]["message"].replace("S3", "S9") == absent.json()["error"]["message"]
