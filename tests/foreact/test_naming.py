"""Names are one to one, can be read back, and hold nothing that any store refuses."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreact.blobs.names import check_name
from foreact.naming import LONGEST, decode_store, encode_store
from foreact.publications.contract import object_name

IDS = st.one_of(st.text(), st.text("~%/.\\01aA "), st.text(st.characters(categories=["Cs", "Cc", "Lo"])))


@given(IDS, IDS)
def test_two_ids_never_share_a_name(one, other):
    assert (encode_store(one) == encode_store(other)) == (one == other)


@given(IDS)
def test_a_name_can_be_read_back(store):
    name = encode_store(store)
    if "~~" not in name:
        assert decode_store(name) == store
    else:
        assert not store or len(name) == LONGEST


@given(IDS, IDS)
def test_a_name_is_plain_and_stays_in_its_folder(run, store):
    assert re.fullmatch(r"[A-Za-z0-9_~-]{1,180}", encode_store(store))
    name = check_name(object_name(run, store, "totals"))
    assert name.count("/") == 3
    assert name.startswith("forecasts/data/")


@pytest.mark.parametrize("name", ["~2F~", "~2f", "a.b", "~41", "", "é"])
def test_what_encode_does_not_make_is_refused(name):
    with pytest.raises(ValueError, match=r".+"):
        decode_store(name)


def test_ids_longer_than_a_file_name_differ_by_their_ends():
    assert encode_store("a" * 300) != encode_store("a" * 299 + "b")
    with pytest.raises(ValueError, match="too long to be read from its name"):
        decode_store(encode_store("a" * 300))
