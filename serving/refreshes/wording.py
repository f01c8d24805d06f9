"""Why a refresh failed, in words that name nothing which the caller may not see.

The sentence is the run's own. One that is about the data can name other stores, published or not: all names in such
sentences are quoted, so what is quoted is left out, but for what this caller knows.
"""

import re
from collections.abc import Callable

from foreact.vocabulary import DATE, ITEM, ROLES, STORE, UNITS

# Texts as Python quotes them, also one that the sentence's end has cut off; no apostrophe within a word begins one.
_QUOTED = re.compile(r"""(?<!\w)(?:'(?:[^'\\]|\\.)*(?:'(?!\w)|$)|"(?:[^"\\]|\\.)*(?:"|$))""")
# Objects of a publication are named by their store.
_OBJECT = re.compile(r"\bforecasts/data/\S+")
WORDS = frozenset({DATE, ITEM, STORE, UNITS, *ROLES})


def conceal_names(sentence: str, is_known: Callable[[str], bool]) -> str:
    """Return the sentence with an ellipsis for every quoted text that is neither a column of ours nor known."""

    def conceal(quoted: re.Match[str]) -> str:
        name = quoted[0][1:-1]
        return quoted[0] if name in WORDS or is_known(name) else "…"

    return _OBJECT.sub("…", _QUOTED.sub(conceal, sentence))
