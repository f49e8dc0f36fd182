"""A device key that never leaves a PKCS#11 token: named by a URI, asked only when a log begins.

A module because of what a vendor's library may do: it is loaded in a program of its own, for one
signature at a time, so that it can neither crash nor stop the supervisor of a batch, and a token
that was pulled is always seen. Everything it answers is checked against its public key.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from controller.core.errors import BadInput, CellwrightError, RecordFailure, Refused
from controller.record.keys import DeviceKey, device_name, read_secret, signature_holds
from controller.record.note import Note, Signature, VerifierKey

URI_MAX: Final = 1024
PIN_BYTES_MAX: Final = 256
ANSWER_S_MAX: Final = 10.0  # [assumed] a token signs within a second; a network HSM in a few
ANSWER_BYTES_MAX: Final = 4096
PUBLIC_BYTES, SIGNATURE_BYTES = 32, 64
# What of RFC 7512 (sections 2.3 and 2.4) is known here. Others are refused: they may narrow down.
_PATH: Final = ("token", "serial", "object", "id", "type")
_QUERY: Final = ("module-path", "pin-source")
_PATH_TEXT: Final = re.compile(r"(?:[A-Za-z0-9\-._~:\[\]@!$'()*+,=&]|%[0-9A-Fa-f]{2})+")
_QUERY_TEXT: Final = re.compile(r"(?:[A-Za-z0-9\-._~:\[\]@!$'()*+,=/?|]|%[0-9A-Fa-f]{2})+")
# DER OCTET STRING of 32 bytes around a point (PKCS#11 v3.0, 2.3.5), or the bare point (v2.40 ways).
_POINT_HEAD: Final = b"\x04\x20"
_MEANS: Final = "No log can be begun with this device key. A batch that is open has its own key."


@dataclass(frozen=True, slots=True)
class TokenUri:
    """Which key on which token: an RFC 7512 URI, taken apart. Empty = not said."""

    module: str
    pin_file: str
    token: str = ""
    serial: str = ""
    object: str = ""
    id_hex: str = ""

    @classmethod
    def parse(cls, text: str) -> TokenUri:
        """Takes `pkcs11:token=T;object=O?module-path=/M&pin-source=file:/P` apart, strictly.

        Raises BadInput for any other form: an attribute that is unknown or given twice, no token
        or serial, no object or id, a PIN in the URI itself, a path that is not absolute.
        """
        if len(text) > URI_MAX or not text.startswith("pkcs11:"):
            raise _bad("it does not begin with `pkcs11:`, or is too long")
        path, _, query = text.removeprefix("pkcs11:").partition("?")
        if "pin-value=" in query:
            raise _bad("a PIN in it could be read by every user of this machine")
        found = _parts(path, ";", _PATH, _PATH_TEXT) | _parts(query, "&", _QUERY, _QUERY_TEXT)
        if found.pop("type", b"private") != b"private":
            raise _bad("its `type` is not private")
        if not ("token" in found or "serial" in found):
            raise _bad("it names no `token` and no `serial`")
        if not ("object" in found or "id" in found):
            raise _bad("it names no `object` and no `id`")
        id_hex = found.pop("id", b"").hex()
        words = {name: _word(name, value) for name, value in found.items()}
        pin = words.pop("pin-source", "").removeprefix("file:")
        return cls(_absolute(words.pop("module-path", ""), "module-path"),
                   _absolute(pin, "pin-source"), id_hex=id_hex, **words)  # fmt: skip

    def words(self) -> str:
        """The key as people know it; where its PIN is, is not said."""
        token = self.token or f"serial {self.serial}"
        return f"{self.object or self.id_hex} on token {token}"


def _parts(
    text: str, between: str, known: tuple[str, ...], form: re.Pattern[str]
) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in text.split(between) if text else ():
        name, is_, value = part.partition("=")
        if name not in known:
            raise _bad(f"{name[:40]!r} is not one of {', '.join(known)}")
        if not is_ or name in found or not form.fullmatch(value):
            raise _bad(f"its `{name}` is empty, given twice or not percent-encoded")
        found[name] = unquote_to_bytes(value)
    return found


def _word(name: str, value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise _bad(f"its `{name}` is no text") from None
    if not text.isprintable():
        raise _bad(f"its `{name}` is no plain text")
    return text


def _absolute(text: str, name: str) -> str:
    if not text.startswith("/") or text.startswith("//"):
        raise _bad(f"its `{name}` is missing or no absolute path")
    return text


def _bad(what: str) -> BadInput:
    return BadInput(
        f"this is no URI of a device key: {what}",
        do="pkcs11:token=NAME;object=NAME?module-path=/PATH/MODULE.so&pin-source=file:/PATH",
    )


Ask = Callable[[dict[str, Any]], dict[str, Any]]


class TokenKey:
    """The device key on a token, in the place of a `keys.Signer`."""

    def __init__(self, uri: TokenUri, ask: Ask | None = None) -> None:
        """Nothing is asked of the token before its key is needed."""
        self.uri = uri
        self._ask = ask or _in_a_program
        self._verifier: VerifierKey | None = None
        self._wrong_pin = False

    @property
    def verifier(self) -> VerifierKey:
        """The verifier key, asked for once. Raises Refused when the token does not answer."""
        if self._verifier is None:
            self.sign("cellwright asks a token for its key\n")
        if self._verifier is None:
            raise Refused("the token has not told its key", means=_MEANS)
        return self._verifier

    def sign(self, text: str) -> Note:
        """`text` as a signed note.

        Raises Refused when the token, its key or its library is not there, when it does not answer
        in time or its PIN is wrong (a wrong one is not tried again: tokens lock), RecordFailure
        for a signature that does not hold or a key that is another one now.
        """
        if self._wrong_pin:
            raise _refused(self.uri, "its PIN was wrong, and is not tried again",
                           "Mend the PIN file, then start the station again.")  # fmt: skip
        found = self._ask({"uri": asdict(self.uri), "text": text})
        if "error" in found:
            self._wrong_pin = bool(found.get("wrong_pin"))
            raise _refused(self.uri, str(found["error"])[:500], str(found.get("do", ""))[:500])
        try:
            public, signature = bytes.fromhex(found["public"]), bytes.fromhex(found["signature"])
        except (KeyError, TypeError, ValueError):
            public = signature = b""
        if (len(public), len(signature)) != (PUBLIC_BYTES, SIGNATURE_BYTES):
            raise _refused(self.uri, "its key is not an Ed25519 key")
        verifier = VerifierKey(device_name(public), public)
        if not signature_holds(verifier, text, signature):
            raise RecordFailure("the signature of the token does not hold",
                                where=self.uri.words(), means=_MEANS)  # fmt: skip
        if self._verifier not in (None, verifier):
            raise RecordFailure("the token holds another key than before", where=self.uri.words(),
                                means=_MEANS)  # fmt: skip
        self._verifier = verifier
        return Note(text, (Signature(verifier.name, verifier.key_hash, signature),))


class NoKey:
    """In the place of a device key whose URI is wrong: it begins no log, and stops none."""

    def __init__(self, why: CellwrightError) -> None:
        self._why = why

    @property
    def verifier(self) -> VerifierKey:
        """Raises Refused."""
        raise Refused(self._why.what, means=_MEANS, do=self._why.do)

    def sign(self, text: str) -> Note:
        """Raises Refused."""
        raise Refused(self._why.what, means=_MEANS, do=self._why.do)


def token_key(text: str) -> DeviceKey | None:
    """The device key a URI names; None for an empty one, `NoKey` for one that is wrong."""
    try:
        return TokenKey(TokenUri.parse(text)) if text else None
    except BadInput as error:
        return NoKey(error)


def _refused(uri: TokenUri, what: str, do: str = "") -> Refused:
    do = do or "Check that the token is plugged in, and the URI of --device-key."
    return Refused(f"the device key {uri.words()} cannot be used: {what}", means=_MEANS, do=do)


def _in_a_program(request: dict[str, Any]) -> dict[str, Any]:
    """Asks this module, run as a program, which ends with its answer."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "controller.record.token"], input=json.dumps(request).encode(),
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=ANSWER_S_MAX, check=False,
        )  # fmt: skip
        found = json.loads(done.stdout[:ANSWER_BYTES_MAX])
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {ANSWER_S_MAX:.0f} s"}
    except (OSError, ValueError):
        return {"error": "its library ended without an answer"}
    return found if isinstance(found, dict) else {"error": "its library gave no answer"}


# -- the program that loads the library -----------------------------------------------------------


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Signs with the library in this process: `public` and `signature` in hex, or `error`."""
    uri = TokenUri(**request["uri"])
    try:
        import pkcs11
    except ImportError:
        return {"error": "python-pkcs11 is not installed",
                "do": "Install cellwright with its extra `pkcs11`."}  # fmt: skip
    try:
        pin = read_secret(Path(uri.pin_file), PIN_BYTES_MAX).decode().rstrip("\n")
    except UnicodeDecodeError:
        return {"error": f"the PIN in {uri.pin_file} is no text"}
    except CellwrightError as error:
        what = error.what.replace("key file", "PIN file")
        return {"error": f"{error.where}: {what}", "do": error.do}
    try:
        return _signed(uri, pin, request["text"].encode())
    except (pkcs11.PinIncorrect, pkcs11.PinLenRange, pkcs11.PinInvalid):
        return {"error": "its PIN is wrong", "wrong_pin": True,
                "do": "Mend the PIN file before the token locks."}  # fmt: skip
    except pkcs11.PinLocked:
        return {"error": "its PIN is locked", "wrong_pin": True,
                "do": "Unlock it with the tools of the token."}  # fmt: skip
    except pkcs11.MechanismInvalid:
        return {"error": "it does not offer Ed25519 (CKM_EDDSA)"}
    except (pkcs11.PKCS11Error, RuntimeError, OSError, ValueError) as error:
        return {"error": f"its library says {type(error).__name__} {error}".strip()[:300]}


def _signed(uri: TokenUri, pin: str, data: bytes) -> dict[str, Any]:
    import pkcs11
    from pkcs11 import Attribute, Mechanism, ObjectClass

    serial = uri.serial.encode() or None
    tokens = list(pkcs11.lib(uri.module).get_tokens(
        token_label=uri.token or None, token_serial=serial
    ))  # fmt: skip
    if len(tokens) != 1:
        return {"error": f"{len(tokens) or 'no'} tokens answer to this name"}
    wanted: dict[Attribute, Any] = {}
    if uri.object:
        wanted[Attribute.LABEL] = uri.object
    if uri.id_hex:
        wanted[Attribute.ID] = bytes.fromhex(uri.id_hex)
    with tokens[0].open(user_pin=pin) as session:
        private = list(session.get_objects({**wanted, Attribute.CLASS: ObjectClass.PRIVATE_KEY}))
        public = list(session.get_objects({**wanted, Attribute.CLASS: ObjectClass.PUBLIC_KEY}))
        if (len(private), len(public)) != (1, 1):
            return {"error": f"{len(private)} private and {len(public)} public keys answer to this "
                    "name, one of each is needed"}  # fmt: skip
        point = public[0][Attribute.EC_POINT]
        key: Any = private[0]
        signature = key.sign(data, mechanism=Mechanism.EDDSA)
    return {"public": point.removeprefix(_POINT_HEAD).hex() if len(point) > PUBLIC_BYTES
            else point.hex(), "signature": signature.hex()}  # fmt: skip


def main() -> None:
    """Reads one request from standard input, writes one answer."""
    sys.stdout.write(json.dumps(answer(json.loads(sys.stdin.buffer.read(ANSWER_BYTES_MAX)))))


if __name__ == "__main__":
    main()
