"""Character classes of the dense per-patch targets."""
from __future__ import annotations

import numpy as np

N_CLASSES = 97  #: 0 blank, 1..94 ASCII 33..126, 95 pound, 96 euro
SLOTS = 3       #: characters kept per 14 x 14 patch

CLASS_OF = np.zeros(0x2100, np.uint8)
for _code in range(33, 127):
    CLASS_OF[_code] = _code - 32
CLASS_OF[ord("£")], CLASS_OF[ord("€")] = 95, 96
for _odd, _plain in {"–": "-", "—": "-", "’": "'", "‘": "'", "×": "x", "·": ".", "•": ".", "é": "e", "è": "e", "á": "a", "à": "a", "ä": "a",
                     "ö": "o", "ó": "o", "ü": "u", "ú": "u", "ñ": "n", "ç": "c", "í": "i", "É": "E", "Ö": "O", "Ü": "U"}.items():
    CLASS_OF[ord(_odd)] = ord(_plain) - 32

#: every character the generator may print
PRINTABLE = [chr(c) for c in range(32, 127)] + list("£€–—’‘×·•éèáàäöóüúñçíÉÖÜ")
INDEX_OF = np.zeros(0x2100, np.int64)
for _i, _c in enumerate(PRINTABLE):
    INDEX_OF[ord(_c)] = _i


def codes(text: str) -> np.ndarray:
    """Unicode code points of ``text``."""
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)
