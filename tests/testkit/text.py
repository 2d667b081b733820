"""The characters of random text."""

from hypothesis import strategies as st

# `st.text()` draws the same, but first works out in each process what UTF-8 can encode, which takes a second.
UNICODE = st.characters(exclude_categories=["Cs"])  # all but lone surrogates
