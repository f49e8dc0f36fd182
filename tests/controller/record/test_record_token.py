"""A device key on a PKCS#11 token: which URI names one, what it certifies, what its loss stops."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from record_logs import fill, stamp_at

from controller.core.errors import BadInput, RecordFailure, Refused
from controller.record.keys import Keys, open_note
from controller.record.log import BatchLog
from controller.record.note import VerifierKey
from controller.record.token import TokenKey, TokenUri, answer
from controller.record.verify import verify

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "271828"
GOOD = "pkcs11:token=T;object=K?module-path=/m.so&pin-source=file:/pin"
# DER of "edwards25519", PrintableString: how SoftHSM 2.6 names the curve.
ED25519 = "130c656477617264733235353139"
P256 = "06082a8648ce3d030107"
MAKES = """
import sys, pkcs11
from pkcs11 import Attribute, KeyType, Mechanism
module, kind, params, label, pin = sys.argv[1:]
edwards = kind == "edwards"
with pkcs11.lib(module).get_token(token_label="station").open(user_pin=pin, rw=True) as session:
    session.create_domain_parameters(
        KeyType.EC_EDWARDS if edwards else KeyType.EC,
        {Attribute.EC_PARAMS: bytes.fromhex(params)}, local=True,
    ).generate_keypair(
        mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN if edwards else Mechanism.EC_KEY_PAIR_GEN,
        store=True, label=label, id=label.encode(),
    )
"""


def make_key(label: str, kind: str = "edwards", params: str = ED25519) -> None:
    """A key pair on the token, made in another process: a library is loaded once per process."""
    subprocess.run([sys.executable, "-c", MAKES, MODULE, kind, params, label, PIN], check=True)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A SoftHSM token `station` with an Ed25519 key `device`, and the file of its PIN."""
    tokens = tmp_path / "tokens"
    tokens.mkdir()
    conf = tmp_path / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(conf))
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", "station", "--so-pin", "31415926",
         "--pin", PIN], check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    make_key("device")
    pin = tmp_path / "pin"
    pin.write_text(PIN + "\n")
    pin.chmod(0o600)
    return tmp_path


def uri(folder: Path, object_: str = "object=device", token: str = "station") -> str:
    """The URI of the device key."""
    return (f"pkcs11:token={token};{object_}?module-path={MODULE}"
            f"&pin-source=file:{folder / 'pin'}")  # fmt: skip


def key(folder: Path, object_: str = "object=device") -> TokenKey:
    return TokenKey(TokenUri.parse(uri(folder, object_)))


# -- what the token certifies ---------------------------------------------------------------------


def test_the_key_on_a_token_certifies_a_log_that_verifies(folder: Path) -> None:
    device = key(folder)
    keys = Keys.in_directory(folder / "keys", device=device)
    log = BatchLog.create(folder / "log", keys, stamp_at(0), purpose="B-1")
    names = [path.name for path in (folder / "keys").iterdir()]
    assert len(names) == 1, "the key of the log"
    assert "device.key" not in names
    log.seal(stamp_at(5))
    assert not list((folder / "keys").iterdir())
    report = verify(folder / "log", deep=True)
    assert report.ok, report.problems
    assert report.device == str(device.verifier)
    assert VerifierKey.parse(report.device).name.startswith("cellwright/device/")
    certificate = (folder / "log" / "key.cert").read_bytes()
    text = open_note(certificate, [device.verifier])
    assert text.splitlines()[0] == "cellwright key certificate v2"


def test_a_key_is_found_by_its_id_as_well_and_is_the_same(folder: Path) -> None:
    by_id = key(folder, "id=%64%65vice;type=private")
    assert by_id.verifier == key(folder).verifier


def test_two_keys_of_one_name_are_not_guessed_between(folder: Path) -> None:
    make_key("device")
    with pytest.raises(Refused, match="2 private and 2 public keys"):
        key(folder).sign("text\n")


# -- what is refused ------------------------------------------------------------------------------


def test_a_wrong_pin_is_refused_and_not_tried_again(folder: Path) -> None:
    device = key(folder)
    (folder / "pin").write_text("999999\n")
    with pytest.raises(Refused, match="its PIN is wrong"):
        device.sign("text\n")
    (folder / "pin").write_text(PIN)
    with pytest.raises(Refused, match="not tried again"):
        device.sign("text\n")
    assert key(folder).sign("text\n")


def test_a_key_that_is_not_there_is_refused_by_its_name(folder: Path) -> None:
    with pytest.raises(Refused, match=r"nobody on token station .* 0 private and 0 public"):
        key(folder, "object=nobody").sign("text\n")


def test_a_key_of_another_kind_is_refused(folder: Path) -> None:
    make_key("curve", "weierstrass", P256)
    with pytest.raises(Refused, match="curve on token station cannot be used"):
        key(folder, "object=curve").sign("text\n")


def test_a_pin_file_that_others_can_read_is_refused(folder: Path) -> None:
    (folder / "pin").chmod(0o640)
    with pytest.raises(Refused, match="pin: the PIN file can be read by others"):
        key(folder).sign("text\n")


def test_a_library_that_is_not_there_or_dies_is_said_and_hurts_nobody(folder: Path) -> None:
    wrong = replace(TokenUri.parse(uri(folder)), module=str(folder / "none.so"))
    with pytest.raises(Refused, match="cannot be used"):
        TokenKey(wrong).sign("text\n")
    source = folder / "dies.c"
    source.write_text("#include <stdlib.h>\n__attribute__((constructor)) void f(void){abort();}\n")
    module = folder / "dies.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", module, source], check=True)
    with pytest.raises(Refused, match="ended without an answer"):
        TokenKey(replace(wrong, module=str(module))).sign("text\n")


def test_a_python_without_the_library_says_which_extra_is_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    device = TokenKey(TokenUri.parse(uri(folder)), answer)
    with pytest.raises(Refused, match="python-pkcs11 is not installed") as refused:
        device.sign("text\n")
    assert "extra `pkcs11`" in refused.value.do


def test_an_answer_whose_signature_does_not_hold_is_no_answer(folder: Path) -> None:
    public = key(folder).verifier.public.hex()
    lies = TokenKey(TokenUri.parse(GOOD), lambda _: {"public": public, "signature": "00" * 64})
    with pytest.raises(RecordFailure, match="does not hold"):
        lies.sign("text\n")
    short = TokenKey(TokenUri.parse(GOOD), lambda _: {"public": "00", "signature": "00"})
    with pytest.raises(Refused, match="not an Ed25519 key"):
        short.sign("text\n")


def test_a_token_that_was_pulled_begins_no_log_and_leaves_the_open_one_alone(folder: Path) -> None:
    keys = Keys.in_directory(folder / "keys", device=key(folder))
    log = BatchLog.create(folder / "log", keys, stamp_at(0), purpose="B-1")
    before = sorted((folder / "keys").iterdir())
    shutil.rmtree(folder / "tokens")
    with pytest.raises(Refused, match="cannot be used") as refused:
        BatchLog.create(folder / "next", keys, stamp_at(1), purpose="B-2")
    assert "has its own key" in refused.value.means
    assert sorted((folder / "keys").iterdir()) == before, "no key of a log that never began"
    assert not (folder / "next").exists()
    fill(log, 150)
    log.close()
    gone = Keys.in_directory(folder / "keys", device=key(folder))
    again = BatchLog.open(folder / "log", gone, stamp_at(400))
    again.seal(stamp_at(401))
    assert verify(folder / "log", deep=True).ok


def test_another_key_under_the_same_name_is_noticed(folder: Path) -> None:
    device = key(folder)
    assert device.verifier
    subprocess.run(
        [sys.executable, "-c", "import sys, pkcs11\n"
         f"with pkcs11.lib({MODULE!r}).get_token(token_label='station')"
         f".open(user_pin={PIN!r}, rw=True) as s:\n"
         "    [o.destroy() for o in list(s.get_objects({}))]"], check=True,
    )  # fmt: skip
    make_key("device")
    with pytest.raises(RecordFailure, match="another key than before"):
        device.sign("text\n")


# -- the URI --------------------------------------------------------------------------------------


def test_a_uri_is_taken_apart(tmp_path: Path) -> None:
    found = TokenUri.parse(
        "pkcs11:serial=00%2f1;id=%01%ff;type=private?pin-source=/p%20n&module-path=/m.so"
    )
    assert found == TokenUri("/m.so", "/p n", serial="00/1", id_hex="01ff")
    assert "/p n" not in found.words()


@pytest.mark.parametrize("text", [
    "", "pkcs11:", "PKCS11:" + GOOD[7:], GOOD.replace("pkcs11", "file"), GOOD + "&pin-value=1234",
    GOOD.replace("object=K", "object="), GOOD.replace("object=K", "object=%2"),
    GOOD.replace("object=K", "object=%ff"), GOOD.replace("object=K", "object=a b"),
    GOOD.replace("object=K", "object=%0A"), GOOD.replace("object=K", "object=K;object=K"),
    GOOD.replace(";object=K", ""), GOOD.replace("token=T;", ""), GOOD.replace("T;", "T;;"),
    GOOD.replace("object=K", "object=K;slot-id=3"), GOOD.replace("object=K", "object=K;type=cert"),
    GOOD.replace("/m.so", "m.so"), GOOD.replace("module-path=/m.so&", ""), GOOD + "&x=1",
    GOOD.replace("module-path=/m.so", "module-name=m"), GOOD.replace("&pin-source=file:/pin", ""),
    GOOD.replace("file:/pin", "|/bin/pin"), GOOD.replace("file:/pin", "file://host/pin"),
    GOOD.replace("T;", "T" * 1100 + ";"),
])  # fmt: skip
def test_a_uri_of_another_form_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput, match="no URI of a device key"):
        TokenUri.parse(text)
