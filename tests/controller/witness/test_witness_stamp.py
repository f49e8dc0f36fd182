"""Time-stamps by a real authority: `openssl ts` behind a small server on loopback."""

from __future__ import annotations

import http.server
import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from supervisor_bench import YOU, Deck
from witness_rig import ROOT, grow, new_log, now, until

from controller.core.clock import RealClock
from controller.core.errors import BadInput
from controller.record.files import VolatileFiles
from controller.record.show import rows
from controller.record.verify import verify
from controller.witness.compare import with_stamp
from controller.witness.evidence import evidence_of, lacking, published_in
from controller.witness.http import Address
from controller.witness.stamping import NotStamped, check, read_roots, stamp
from controller.witness.station import StationWatch

CONFIG = """[req]
distinguished_name = dn
prompt = no
[dn]
CN = x
[ca]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign
[tsa]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[authority]
serial = serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""


def openssl(folder: Path, words: str) -> None:
    done = ["openssl", *words.split()]
    subprocess.run(done, cwd=folder, check=True, capture_output=True, timeout=60)


class Authority:
    """An authority and its root; `down` it answers 503, `lies` with the last answer it gave."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.down, self.lies, self.asked = folder, False, False, 0
        self._last = b""
        folder.mkdir()
        (folder / "config").write_text(CONFIG)
        (folder / "serial").write_text("01\n")
        new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config config"
        openssl(folder, f"req -x509 {new} -keyout root.key -out root.pem -days 30 -extensions ca "
                "-subj /CN=Test-root")  # fmt: skip
        openssl(folder, f"req {new} -keyout tsa.key -out tsa.csr -subj /CN=Test-authority")
        openssl(folder, "x509 -req -in tsa.csr -CA root.pem -CAkey root.key -CAcreateserial "
                "-out tsa.pem -days 30 -extfile config -extensions tsa")  # fmt: skip
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.headers["content-type"] == "application/timestamp-query"
                body = self.rfile.read(int(self.headers["content-length"]))
                answer = outer.answer(body)
                self.send_response(200 if answer else 503)
                self.send_header("content-type", "application/timestamp-reply")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def address(self) -> Address:
        return Address.parse(f"http://127.0.0.1:{self._server.server_port}", "an authority")

    @property
    def roots(self) -> Path:
        return self.folder / "root.pem"

    def answer(self, query: bytes) -> bytes:
        self.asked += 1
        if self.down:
            return b""
        if self.lies and self._last:
            return self._last
        (self.folder / "query").write_bytes(query)
        openssl(self.folder, "ts -reply -config config -section authority -queryfile query "
                "-signer tsa.pem -inkey tsa.key -out reply")  # fmt: skip
        self._last = (self.folder / "reply").read_bytes()
        return self._last

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    assert shutil.which("openssl"), "openssl is needed: apt-get install openssl"
    found = Authority(tmp_path_factory.mktemp("authority") / "tsa")
    yield found
    found.close()


@pytest.fixture
def authority(running):
    running.down = running.lies = False
    running.asked = 0
    return running


def test_a_time_stamp_of_an_authority_holds_for_what_it_was_given_for_alone(authority):
    roots = read_roots(authority.roots)
    given = stamp(authority.address, b"a checkpoint", roots)
    assert given.trusted
    assert abs((given.time - datetime.now(UTC)).total_seconds()) < 60
    assert check(given.response, b"a checkpoint", []).trusted is False
    for data in (b"another checkpoint", b""):
        with pytest.raises(NotStamped, match="other data"):
            check(given.response, data, roots)
    with pytest.raises(NotStamped):
        check(given.response, b"a checkpoint", read_roots(authority.folder / "tsa.pem"))


def test_an_authority_may_send_its_certificates_in_any_order(authority):
    folder, data = authority.folder, b"a checkpoint"
    openssl(folder, "x509 -in tsa.pem -outform DER -out tsa.der")
    openssl(folder, "x509 -in root.pem -outform DER -out root.der")
    (folder / "data").write_bytes(data)
    openssl(folder, "ts -query -data data -sha512 -cert -out query")
    openssl(folder, "ts -reply -config config -section authority -queryfile query "
            "-signer tsa.pem -inkey tsa.key -chain root.pem -out reply")  # fmt: skip
    reply = (folder / "reply").read_bytes()
    own, root = (folder / "tsa.der").read_bytes(), (folder / "root.der").read_bytes()
    given = own + root if own + root in reply else root + own
    assert reply.count(given) == 1
    for order in (own + root, root + own):
        found = check(reply.replace(given, order), data, read_roots(authority.roots))
        assert found.trusted
    with pytest.raises(NotStamped):
        check(reply.replace(given, own + own[: len(root)]), data, read_roots(authority.roots))


def test_openssl_itself_accepts_what_is_kept(authority, tmp_path):
    given = stamp(authority.address, b"a checkpoint\n", ())
    (tmp_path / "data").write_bytes(b"a checkpoint\n")
    (tmp_path / "reply").write_bytes(given.response)
    done = subprocess.run(
        ["openssl", "ts", "-verify", "-data", "data", "-in", "reply", "-CAfile",
         str(authority.roots)], cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Verification: OK" in done.stdout + done.stderr


def test_an_answer_to_another_request_is_refused(authority):
    stamp(authority.address, b"a checkpoint", ())
    authority.lies = True
    with pytest.raises(NotStamped, match="another request"):
        stamp(authority.address, b"a checkpoint", ())


def test_no_byte_of_a_response_changes_what_it_says(authority):
    roots = read_roots(authority.roots)
    given = stamp(authority.address, b"a checkpoint", roots)
    refused = 0
    for offset in range(len(given.response)):
        spoiled = bytearray(given.response)
        spoiled[offset] ^= 0x41
        try:
            found = check(bytes(spoiled), b"a checkpoint", roots)
        except NotStamped:
            refused += 1
        else:  # what is not signed, such as an attribute nobody reads
            assert found.time == given.time
    assert refused > 0.8 * len(given.response)
    for cut in range(0, len(given.response), 7):
        with pytest.raises(NotStamped):
            check(given.response[:cut], b"a checkpoint", roots)


def test_a_file_that_is_no_certificate_is_refused(tmp_path):
    assert read_roots(None) == []
    with pytest.raises(BadInput, match="no such file"):
        read_roots(tmp_path / "none.pem")
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(BadInput, match="no PEM"):
        read_roots(tmp_path / "bad.pem")


def named(deck: Deck, event: str) -> list[dict]:
    return [each.data for each in deck.told if each.name == event]


def test_a_batch_is_time_stamped_at_its_end_or_at_the_next_start(authority, tmp_path):
    deck = Deck(tmp_path)
    given = (authority.address, authority.roots)
    watch = StationWatch(deck.station, (), RealClock(), VolatileFiles(), given)
    watch.first(deck.clock.stamp())
    authority.down = True
    deck.run(1)
    watch.due(deck.clock.stamp())
    assert authority.asked == 0, "a station's log has no end to be stamped"
    deck.open()
    watch.due(deck.clock.stamp())
    log = deck.station.batch_log.directory
    deck.ask("abort", reason="bench")
    deck.run(5)
    deck.ask("end_environment", reason="empty", second=YOU)
    deck.run(3)
    deck.station.close_batch(deck.clock.stamp())
    watch.due(deck.clock.stamp())

    def told(event: str) -> list[dict]:
        watch.due(deck.clock.stamp())
        deck.run(1)
        return named(deck, event)

    failed = until(lambda: told("timestamp.failed"), "a warning")
    assert "503" in failed[0]["why"]
    watch.finish(quick=True)
    assert lacking(log, (), stamped=True) is not None
    authority.down = False
    watch = StationWatch(deck.station, (), RealClock(), VolatileFiles(), given)
    watch.first(deck.clock.stamp())
    (stamped,) = until(lambda: told("checkpoint.timestamped"), "a time-stamp")
    watch.finish(quick=True)
    found = published_in(log)
    assert (stamped["origin"], stamped["size"]) == (found.origin, found.size)
    assert stamped["trusted"] is True
    kept = (evidence_of(log) / "checkpoint.tsr").read_bytes()
    assert check(kept, found.note, read_roots(authority.roots)).trusted
    assert lacking(log, (), stamped=True) is None
    assert verify(log, expect_sealed=True, deep=True).ok
    deck.run(2)
    assert [row["event"] for row in rows(tmp_path / "station")].count("timestamp.failed") == 1


def test_a_stamp_is_checked_from_the_command_line(authority, tmp_path):
    log = grow(new_log(tmp_path / "batch" / "log"), 5)
    log.seal(now())
    given = stamp(authority.address, log.published.note, ())
    folder = tmp_path / "batch" / "evidence"
    folder.mkdir()
    (folder / "checkpoint.tsr").write_bytes(given.response)

    def asked(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "controller.cli", "log", "timestamp-check", *words], cwd=ROOT,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    status, said = asked(str(tmp_path / "batch"), "--roots", str(authority.roots))
    assert status == 0
    assert "6 records, sealed" in said
    assert "signed by an authority of the roots given" in said
    assert "NOT checked who signed it" in asked(str(tmp_path / "batch"))[1]
    (folder / "checkpoint.tsr").write_bytes(stamp(authority.address, b"other", ()).response)
    status, said = asked(str(tmp_path / "batch" / "log"), "--roots", str(authority.roots))
    assert status == 3
    assert "it is of other data" in said
    assert asked(str(tmp_path / "nothing"))[0] == 2
    (folder / "checkpoint.tsr").unlink()
    assert not with_stamp(log.directory, None).ok
