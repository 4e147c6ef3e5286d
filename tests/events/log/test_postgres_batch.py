"""Headers as the Postgres log stores them."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from events.log.postgres_batch import decode_headers, encode_headers

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["", "\n", "{", "a\nb", "\0", '{"a":"b"}']
)


@given(st.dictionaries(text, text, max_size=5))
@example({"": ""})
@example({"{": "x"})
@example({"a": "\n"})
def test_headers_come_back_as_they_were(headers: dict[str, str]) -> None:
    stored = encode_headers(headers)
    assert "\0" not in stored
    assert decode_headers(stored) == headers
