"""The compiled plan as a file: what comes back is exactly what went in, or nothing at all."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import equipment_profiles
from controller.core.errors import BadInput
from controller.profile import planfile
from controller.profile.compile import load_profile
from controller.profile.frames import FirstFrame, FirstFrames, FirstLine
from controller.profile.link_plan import (
    BoardPlan,
    ChannelPlan,
    DevicePlan,
    GivenPlan,
    LinkPlan,
    PointPlan,
    ReadPlan,
    RowPlan,
    StatusPlan,
    WritePlan,
)
from controller.profile.plan import TABLES, Plan, digest

SHIPPED = Path(equipment_profiles.__file__).parent
START = len(planfile.MAGIC) + 32

texts = st.text(max_size=20)
whole = st.integers(-(2**62), 2**62)
finite = st.floats(allow_nan=False, allow_infinity=False)
some = {"max_size": 3}


def of(kind, **given_):
    """A strategy for one of the frozen dataclasses: every field by its type, or as given."""
    kinds = {"str": texts, "int": whole, "float": finite, "bytes": st.binary(max_size=9),
             "bool": st.booleans(), "tuple[str, ...]": st.lists(texts, **some).map(tuple),
             "frozenset[str]": st.frozensets(texts, max_size=3)}  # fmt: skip
    fields = kind.__dataclass_fields__
    return st.builds(kind, **({n: kinds[f.type] for n, f in fields.items() if n not in given_}
                              | given_))  # fmt: skip


def many(strategy):
    return st.lists(strategy, **some).map(tuple)


reads = of(ReadPlan, limits=st.none() | st.tuples(whole, whole), status=st.none() | of(StatusPlan),
           points=many(of(PointPlan)))  # fmt: skip
pairs = many(st.tuples(whole, whole))
boards = of(BoardPlan, images=many(st.binary(max_size=9)), given=many(of(GivenPlan)), analog=pairs,
            digital=pairs, channels=many(of(ChannelPlan)), rows=many(of(RowPlan)))  # fmt: skip
links = of(LinkPlan, devices=many(of(DevicePlan, reads=many(reads), writes=many(of(WritePlan)))),
           board=st.none() | boards)  # fmt: skip
lines = of(FirstLine, frames=many(of(FirstFrame)))
firsts = st.dictionaries(texts, of(FirstFrames, cold=lines, open=lines), **some)


@st.composite
def plans(draw):
    """Tables of any length and any bytes: only the layout is ours."""
    found = {}
    for name in Plan._fields:
        count = draw(st.integers(0, 4))
        size = TABLES[name].itemsize * count
        found[name] = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), TABLES[name])
    return Plan(**found)


UNIT = load_profile(SHIPPED / "units" / "perfusion_2l.yaml", SHIPPED / "devices")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "unit.plan"
    planfile.write(UNIT, path)
    return path


def same(profile, path):
    found = planfile.load(path)
    assert digest(found.plan) == found.plan_digest == digest(profile.plan)
    for name, array in found.plan._asdict().items():
        assert array.dtype == TABLES[name]
        assert array.tobytes() == getattr(profile.plan, name).tobytes()
    assert found.links == profile.links
    assert found.first == profile.first
    assert repr(found.first) == repr(dict(profile.first))
    names = found.names
    assert (names.unit, names.version) == (profile.id, profile.version)
    assert (names.signals, names.loops) == (profile.signals, profile.loops)
    assert (names.outputs, names.rows) == (profile.outputs, tuple(c.row for c in profile.causes))


def test_the_shipped_unit_comes_back_exactly(file):
    same(UNIT, file)
    assert planfile.load(file).plan.outputs.flags.writeable


@given(plan=plans(), links=many(links), first=firsts, signals=many(texts))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_unit_comes_back_exactly(tmp_path, plan, links, first, signals):
    path = tmp_path / "unit.plan"
    profile = replace(UNIT, plan=plan, plan_digest=digest(plan), links=links, first=first,
                      signals=signals)  # fmt: skip
    planfile.write(profile, path)
    same(profile, path)


@given(at=st.integers(0, 1 << 20), bit=st.integers(0, 7))
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_wrong_bit_anywhere_is_refused(file, at, bit):
    raw = bytearray(file.read_bytes())
    raw[at % len(raw)] ^= 1 << bit
    bad = file.with_name("bad.plan")
    bad.write_bytes(raw)
    with pytest.raises(BadInput) as caught:
        planfile.load(bad)
    assert caught.value.do


@given(length=st.integers(0, 1 << 20))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_cut_short_is_refused(file, length):
    raw = file.read_bytes()
    bad = file.with_name("bad.plan")
    bad.write_bytes(raw[: length % len(raw)])
    with pytest.raises(BadInput):
        planfile.load(bad)


def sealed(rest):
    return planfile.MAGIC + hashlib.sha256(rest).digest() + rest


def changed(raw, old, new):
    """The file with `old` replaced in its header, and a digest that fits again."""
    rest = raw[START:]
    end = 8 + int.from_bytes(rest[:8], "big")
    head = rest[8:end]
    assert old in head
    head = head.replace(old, new, 1)
    return sealed(len(head).to_bytes(8, "big") + head + rest[end:])


@pytest.mark.parametrize(("spoil", "says"), [
    (lambda raw: b"cellwright plan 2\n" + raw[18:], "no compiled plan of this version"),
    (lambda raw: raw + b"\0", "damaged"),
    (lambda raw: sealed(raw[START:] + b"\0"), "not those it was made from"),
    (lambda raw: sealed(raw[START:-8]), "table unit is not whole"),
    (lambda raw: sealed(raw[START:-8] + b"12345678"), "not those it was made from"),
    (lambda raw: changed(raw, b"'age_signal'", b"'aeg_signal'"), "another version"),
    (lambda raw: changed(raw, b'"perfusion_2l",1,', b'"perfusion_2l","1",'), "not a int"),
    (lambda raw: changed(raw, b'"perfusion_2l",1,', b'"perfusion_2l",'), "another shape"),
    (lambda raw: changed(raw, b'[["perfusion_2l"', b'[{"perfusion_2l"'), "another shape"),
    (lambda raw: sealed(b"\xff" * 64), "another shape"),
    (lambda raw: b"", "no compiled plan"),
])  # fmt: skip
def test_what_is_wrong_is_told_with_the_file_and_what_to_do(file, spoil, says):
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(BadInput) as caught:
        planfile.load(file)
    assert says in caught.value.what
    assert caught.value.where == str(file)
    assert caught.value.do


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot read"):
        planfile.load(tmp_path / "none.plan")


def test_a_file_of_100_mb_is_refused(tmp_path):
    path = tmp_path / "big.plan"
    with path.open("wb") as handle:
        handle.truncate(100_000_000)
    with pytest.raises(BadInput, match="more than 64000000 bytes"):
        planfile.load(path)


def test_a_number_that_is_not_finite_is_refused_when_it_is_written(tmp_path):
    line = UNIT.links[0]
    device = line.devices[0]
    odd = replace(device.writes[0], scale=float("inf"))
    link = replace(line, devices=(replace(device, writes=(odd,)),))
    path = tmp_path / "unit.plan"
    with pytest.raises(BadInput, match="not finite"):
        planfile.write(replace(UNIT, links=(link,)), path)
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_stands_until_the_new_one_is_whole(file):
    before = file.read_bytes()
    with pytest.raises(BadInput):
        planfile.write(replace(UNIT, signals=(float("nan"),)), file)
    assert file.read_bytes() == before


def loaded(code, *arguments):
    """The heavy libraries a fresh interpreter holds after `code`."""
    tail = ("\nimport sys\nheavy = {'numpy', 'numba', 'pydantic', 'pint', 'yaml', 'lark', "
            "'asyncua'}\nprint(sorted(heavy & set(sys.modules)))")  # fmt: skip
    ran = subprocess.run([sys.executable, "-c", code + tail, *map(str, arguments)],
                         capture_output=True, text=True, check=True)  # fmt: skip
    return ran.stdout.strip()


def test_the_first_frames_are_read_without_any_library(file):
    code = ("import sys\nfrom pathlib import Path\nfrom controller.profile import planfile\n"
            "assert planfile.open_file(Path(sys.argv[1])).first")  # fmt: skip
    assert loaded(code, file) == "[]"


def test_field_runs_without_what_checks_the_text_of_a_unit(file):
    code = ("import sys\nfrom pathlib import Path\nfrom controller.profile import planfile\n"
            "from controller.field.links.workers import start_workers\n"
            "from controller.field.links.machine import SerialLink\n"
            "from controller.field.links.opcua import OpcuaLink\n"
            "import controller.core.ports, controller.core.signal, controller.core.clock\n"
            "planfile.load(Path(sys.argv[1]))")  # fmt: skip
    assert loaded(code, file) == "['numpy']"
