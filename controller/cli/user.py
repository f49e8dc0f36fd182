"""`cellwright user`: accounts of a running station, through its desk like any other request.

Talks to the screen's server over HTTPS and trusts exactly the certificate in the state directory.
Nothing here opens the file of accounts.
"""

from __future__ import annotations

import getpass
import json
import sys
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import typer

from controller.core.errors import BadInput, Refused

user_app = typer.Typer(no_args_is_help=True, help="The people of a running station.")
ADDRESS_FILE, CERTIFICATE = "screen.json", Path("tls") / "cert.pem"
FIRST_FILE = Path("people") / "first-admin"
TIMEOUT_S = 15.0
ANSWER_BYTES_MAX = 1 << 20
LOCAL = ("127.0.0.1", "::1", "localhost")
State = Annotated[Path | None, typer.Option(help="State directory of the station")]
Url = Annotated[str, typer.Option(help="Address of its screen; default: as the station wrote it")]


class Talk:
    """Requests to one screen, in one session."""

    def __init__(self, state: Path | None, url: str = "") -> None:
        """Raises BadInput when it is not known where the screen is, or which certificate it has."""
        self._url = urlsplit(url or _address(state))
        self._cookie = ""
        if not self._url.hostname or self._url.scheme not in ("http", "https"):
            raise BadInput(f"{url!r} is no address of a screen", do="https://HOST:PORT")
        if self._url.scheme == "http" and self._url.hostname not in LOCAL:
            raise BadInput("a password is not sent to another machine without TLS")
        self._pinned: Path | None = None
        if self._url.scheme == "https":
            if state is None or not (state / CERTIFICATE).is_file():
                raise BadInput(
                    "the certificate of the screen is not there", where=state or "",
                    do="Give --state: its tls/cert.pem is what the screen must show.",
                )  # fmt: skip
            self._pinned = state / CERTIFICATE

    def ask(self, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        """The answer of the screen. Raises Refused, in its words, when it refuses."""
        status, answer = self.tell(method, path, body)
        if status != 200:
            raise Refused(str(answer.get("why") or f"the screen answers {status}"))
        return answer

    def tell(
        self, method: str, path: str, body: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and answer; raises Refused when nothing sensible answers."""
        headers = {"X-Cellwright": "1", "Content-Type": "application/json"}
        if self._cookie:
            headers["Cookie"] = self._cookie
        connection = self._connection()
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, headers)
            response = connection.getresponse()
            data = response.read(ANSWER_BYTES_MAX)
            for line in response.headers.get_all("Set-Cookie", []):
                self._cookie = "; ".join(
                    f"{name}={part.value}" for name, part in SimpleCookie(line).items()
                )
            answer = json.loads(data)
        except (OSError, ValueError) as error:
            raise Refused(
                f"the screen does not answer: {error}", where=self._url.geturl(),
                do="Is the station running with --screen?",
            ) from error  # fmt: skip
        finally:
            connection.close()
        return response.status, answer if isinstance(answer, dict) else {}

    def _connection(self) -> Any:
        """A connection; over TLS only to who shows the pinned certificate."""
        import http.client
        import ssl

        host, port = self._url.hostname or "", self._url.port
        if self._pinned is None:
            return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        context = ssl.create_default_context(cafile=str(self._pinned))
        context.check_hostname = False  # the certificate itself is compared
        connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
        try:
            connection.connect()
        except OSError as error:
            raise Refused(
                f"the screen does not answer, or is another one: {error}",
                where=self._url.geturl(), do="Is the station running with --screen?",
            ) from error  # fmt: skip
        shown = connection.sock.getpeercert(binary_form=True)
        if shown != ssl.PEM_cert_to_DER_cert(self._pinned.read_text("ascii")):
            connection.close()
            raise Refused("another certificate is shown than that of the station")
        return connection

    def log_in(self) -> None:
        """Asks the person at the terminal for name and password, and for a new one if needed."""
        user = input("Admin: ")
        password = getpass.getpass("Password: ")
        body = {"user": user, "password": password}
        status, answer = self.tell("POST", "/api/login", body)
        if answer.get("kind") == "must_change":
            sys.stderr.write("The first log-in needs a new password of 15 characters or more.\n")
            new = getpass.getpass("New password: ")
            if getpass.getpass("Again: ") != new:
                raise BadInput("the two are not the same")
            status, answer = self.tell("POST", "/api/login", {**body, "new_password": new})
        if status != 200:
            raise Refused(str(answer.get("why") or f"the screen answers {status}"))

    def log_out(self) -> None:
        """Ends the session."""
        self.tell("POST", "/api/logout", {})


def _address(state: Path | None) -> str:
    if state is None:
        raise BadInput("where the station is, is not said", do="Give --state or --url.")
    file = state / ADDRESS_FILE
    try:
        found = json.loads(file.read_text("utf-8"))["url"]
    except (OSError, ValueError, KeyError, TypeError):
        raise BadInput(
            "no screen runs on this state directory", where=file,
            do="Start the station with --screen, or give --url.",
        ) from None  # fmt: skip
    return str(found)


@user_app.command()
def add(
    user: str,
    name: Annotated[str, typer.Option(help="Name as it is printed beside signatures")],
    role: Annotated[
        str, typer.Option(help="operator, supervisor, qa, engineer, admin or auditor")
    ] = "",
    state: State = None,
    url: Url = "",
    first: Annotated[bool, typer.Option("--first", help="The first admin, by code")] = False,
) -> None:
    """Adds a user; the first password is made, shown once, and changed at the first log-in."""
    talk = Talk(state, url)
    body = {"user": user, "name": name, "role": "admin" if first else role}
    if first:
        if role not in ("", "admin"):
            raise BadInput("the first user of a station is an admin")
        answer = talk.ask("POST", "/api/users", body | {"code": _first_code(state)})
    else:
        if not role:
            raise BadInput("in which role is not said", do="Give --role.")
        talk.log_in()
        try:
            answer = talk.ask("POST", "/api/users", body)
        finally:
            talk.log_out()
    sys.stdout.write(
        f"{answer['user']} was added as {body['role']}. First password, shown only here:\n"
        f"{answer['password']}\n"
    )


@user_app.command("list")
def list_(state: State = None, url: Url = "") -> None:
    """Lists every account: id, role, state, name."""
    talk = Talk(state, url)
    talk.log_in()
    try:
        found = talk.ask("GET", "/api/users")["users"]
    finally:
        talk.log_out()
    for each in found:
        words = "disabled" if each["disabled"] else "locked" if each["locked"] else "in use"
        sys.stdout.write(f"{each['user']:<20} {each['role']:<11} {words:<9} {each['name']}\n")


@user_app.command()
def disable(
    user: str,
    reason: Annotated[str, typer.Option(help="Why; it is recorded")],
    state: State = None,
    url: Url = "",
) -> None:
    """Disables a user for ever: the sessions end, the id is never given again."""
    talk = Talk(state, url)
    talk.log_in()
    try:
        talk.ask("POST", f"/api/users/{quote(user, safe='')}/disable", {"reason": reason})
    finally:
        talk.log_out()
    sys.stdout.write(f"{user} is disabled.\n")


def _first_code(state: Path | None) -> str:
    """The one-time code: from the state directory, or typed."""
    if state is not None:
        try:
            return (state / FIRST_FILE).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            sys.stderr.write(f"{state / FIRST_FILE} cannot be read\n")
    return getpass.getpass("One-time code: ")
