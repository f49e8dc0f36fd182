"""What may be sent: the checked shape of each request, before anything looks at what it says."""

from __future__ import annotations

from base64 import b64decode
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from controller.asking import FILE_BYTES_MAX, REASON_MAX, TEXT_MAX
from controller.hmi.limits import PRESS_MS_MAX, PRESS_MS_MIN, SIGNATURES_MAX

FILE_TEXT_MAX = -(-FILE_BYTES_MAX // 3) * 4  # in base64
Text = Annotated[str, Field(max_length=TEXT_MAX)]
Reason = Annotated[str, Field(max_length=REASON_MAX)]
Password = Annotated[str, Field(max_length=1_000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LoginBody(_Body):
    """A log-in; `new_password` where it is to be changed at once."""

    user: Text
    password: Password
    new_password: Password = ""


class PasswordBody(_Body):
    """A person's own password."""

    password: Password
    new_password: Password


class HoldBody(_Body):
    """How long the button was pressed."""

    pressed_ms: int = Field(ge=PRESS_MS_MIN, le=PRESS_MS_MAX)


class SignatureBody(_Body):
    """User and password again, and in which meaning."""

    user: Text
    password: Password
    meaning: Text = ""


class CommandBody(_Body):
    """A command. `seen`: `mono_ns` of the frame the click was made on; `file`: base64."""

    verb: Annotated[str, Field(min_length=1, max_length=40)]
    target: Text = "procedure"
    value: Text = ""
    reason: Reason = ""
    expected: Text = ""
    seen: Annotated[str, Field(pattern=r"^\d{1,19}$")]
    signatures: list[SignatureBody] = Field(default_factory=list, max_length=SIGNATURES_MAX)
    file: Annotated[str, Field(max_length=FILE_TEXT_MAX)] = ""

    @field_validator("file")
    @classmethod
    def _whole(cls, text: str) -> str:
        b64decode(text, validate=True)
        return text

    @property
    def file_bytes(self) -> bytes:
        """The bytes of a file of results."""
        return b64decode(self.file, validate=True)


class UserBody(_Body):
    """A new user; `code` is the one-time code of a new station, for its first admin."""

    user: Text
    name: Text
    role: Text = ""
    code: Text = ""


class DisableBody(_Body):
    """Why a user is disabled."""

    reason: Reason = ""
