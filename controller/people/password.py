"""Passwords: which are good enough, how they are kept, how a first one is made.

argon2id (RFC 9106, second recommended choice of parameters). A check takes 50 to 200 ms and 64 MiB
and is made off the supervisor's thread; an id without an account costs the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from controller.core.errors import BadInput

LENGTH_MIN: Final = 15
LENGTH_MAX: Final = 200
AT_ONCE_MAX: Final = 2  # each check takes its memory
_LETTERS: Final = "abcdefghijkmnpqrstuvwxyz23456789"  # 32; none that is taken for another


def check_password(password: str, user: str, name: str) -> None:
    """Raises BadInput for a password that is too short, too long, or the user's id or name."""
    if not LENGTH_MIN <= len(password) <= LENGTH_MAX:
        raise BadInput(f"a password has {LENGTH_MIN} to {LENGTH_MAX} characters")
    if not password.isprintable():
        raise BadInput("a password has no control characters")
    plain = password.casefold()
    for part in (user, name):
        known = part.strip().casefold()
        if known and plain.replace(known, "").strip(" 0123456789.-_!") == "":
            raise BadInput("the password is the user's id or name", do="Choose another one.")
    if len(set(plain)) < 5:
        raise BadInput("the password repeats a few characters", do="Choose another one.")


def first_password(random: Callable[[int], bytes]) -> str:
    """A password of 20 letters and digits in four groups: 100 bits."""
    letters = [_LETTERS[byte % 32] for byte in random(20)]
    return "-".join("".join(letters[i : i + 5]) for i in range(0, 20, 5))


class Passwords:
    """Hashes and verifies; never called from the supervisor's thread."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """`hasher`: cheaper parameters in tests."""
        self._hasher = hasher or PasswordHasher()
        self._at_once = threading.BoundedSemaphore(AT_ONCE_MAX)
        self._nobody = self._hasher.hash("no account has this password")

    def hash(self, password: str) -> str:
        """The hash to keep."""
        with self._at_once:
            return self._hasher.hash(password)

    def verify(self, hash_: str | None, password: str) -> bool:
        """Whether a password is the right one; without a hash the same work, and never."""
        with self._at_once:
            try:
                self._hasher.verify(hash_ or self._nobody, password[: LENGTH_MAX + 1])
            except (VerificationError, InvalidHashError):
                return False
        return hash_ is not None
