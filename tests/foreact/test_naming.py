"""Names are one to one, can be read back, and hold nothing that any store refuses."""

import re
from urllib.parse import unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st

from foreact.blobs.names import check_name
from foreact.naming import LONGEST, encode_id
from foreact.publications.contract import object_name

IDS = st.one_of(st.text(), st.text("~%/.\\01aA "), st.text(st.characters(categories=["Cs", "Cc", "Lo"])))


@given(IDS, IDS)
def test_two_ids_never_share_a_name(one, other):
    assert (encode_id(one) == encode_id(other)) == (one == other)


@given(IDS)
def test_a_name_can_be_read_back(store):
    name = encode_id(store)
    if "~~" not in name:
        assert unquote_to_bytes(name.replace("~", "%")).decode("utf-8", "surrogatepass") == store
    else:
        assert not store or len(name) == LONGEST


@given(IDS, IDS)
def test_a_name_is_plain_and_stays_in_its_folder(run, store):
    assert re.fullmatch(r"[A-Za-z0-9_~-]{1,180}", encode_id(store))
    name = check_name(object_name(run, store, "totals"))
    assert name.count("/") == 3
    assert name.startswith("forecasts/data/")


def test_ids_longer_than_a_file_name_differ_by_their_ends():
    assert encode_id("a" * 300) != encode_id("a" * 299 + "b")
