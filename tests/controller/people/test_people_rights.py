"""The table of who may do what: what a wrong one is told, and what it never allows."""

from __future__ import annotations

import pytest

from controller.core.errors import BadInput
from controller.people.roles import TABLE, Rights


@pytest.mark.parametrize(("old", "new", "says"), [
    ("roles: [admin]", "roles: [king]", "unknown roles"),
    ("states: [Idle]", "states: [Idel]", "unknown states"),
    ("uses: [none, engineering]", "uses: [none, fun]", "unknown uses"),
    ("signers: [supervisor]", "signers: [boss]", "unknown role"),
    ("    meaning: started\n", "", "has a meaning"),
    ("    second: [supervisor, qa]\n    meaning: set\n", "    meaning: set\n", "need `second`"),
    ("reason: true", "raeson: true", "raeson"),
])  # fmt: skip
def test_a_wrong_table_is_refused_with_its_line(tmp_path, old, new, says):
    text = TABLE.read_text()
    assert old in text
    file = tmp_path / "rights.yaml"
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(BadInput, match=says) as found:
        Rights.load(file)
    assert "rights.yaml:" in found.value.where


def test_the_digest_of_the_table_changes_with_any_byte_of_it(tmp_path):
    file = tmp_path / "rights.yaml"
    file.write_text(TABLE.read_text() + "# one more remark\n")
    assert Rights.load(file).digest != Rights.shipped().digest


def test_admins_and_auditors_do_nothing_to_the_unit():
    rights = Rights.shipped()
    assert set(rights.verbs_of("admin")) == {"hold", "user_add", "user_disable", "password",
                                             "logout"}  # fmt: skip
    assert set(rights.verbs_of("auditor")) == {"hold", "password", "logout"}
