"""Text of strangers as a terminal may show it: gateways, clients' metadata and file names hold whatever they like.

Control characters (C0, C1, DEL) move the cursor, color, or write into the clipboard; bidirectional controls and
invisible ones make a line read as another, and blank ones that are no space hide where it ends. They are shown as
escapes. Line feeds and tabs stay, and so do the joiners of emoji and scripts, and a variation selector after what it
selects a form of.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_UNSEEN = re.compile(
    f"(?<![^\x00-\x22\x24-\x29\x2b-\x2f\x3a-\x7f{_SELECTORS}])[{_SELECTORS}]|"  # digits, # and * have forms as emoji
    "[\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\uffa0"
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_BREAKS = {ord("\n"): "\\n", ord("\t"): "\\t"}


def visible(text: str) -> str:
    """The text with escapes in the place of what a terminal would act on or hide: `\\x1b[31m`."""
    return _UNSEEN.sub(_escape, text)


def visible_cell(text: str) -> str:
    """As `visible`, in one cell of one line: line feeds and tabs are escapes as well."""
    return visible(text).translate(_BREAKS)


def visible_json(value: Any, **more: Any) -> str:
    """JSON that means the same, with `\\u001b` for what a terminal would act on or hide. `more`: as of JSONEncoder."""
    text = _encoder(**more).encode(value)
    if text.isascii() and "\x7f" not in text:  # JSON has escaped the other ones of these; to look for them took longest
        return text
    return _UNSEEN.sub(_escape_in_json, text)


@lru_cache(maxsize=8)  # json.dumps makes one anew for each value: as long as to write a line of the log
def _encoder(**more: Any) -> json.JSONEncoder:
    return json.JSONEncoder(ensure_ascii=False, **more)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escape_in_json(found: re.Match[str]) -> str:
    return "\\u007f" if found[0] == "\x7f" else json.dumps(found[0])[1:-1]  # JSON itself escapes no DEL
