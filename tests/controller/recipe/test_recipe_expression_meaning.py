"""What conditions mean, against an interpreter of the tests; and that any text ends well."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from expression_trees import NAMES, Part, World, conditions, near, used, worlds
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from controller.recipe.dimension import NAMED
from controller.recipe.expression import MAX_LENGTH, Expression, Name, compile_expression
from controller.recipe.operators import ExpressionError, Value


class Table:
    """An environment of plain numbers; what is missing is unknown."""

    def __init__(self, world: World) -> None:
        self.world = {name: None if one is None else float(one) for name, one in world.items()}

    def tag(self, name: str) -> float | None:
        return self.world[name]

    def variable(self, name: str) -> float | None:
        return self.world[name]

    def age(self, name: str) -> float | None:
        return None

    def held(self, part: int) -> bool:
        return False


def _evaluated(part: Part, world: World) -> Value:
    text = part.text()
    assume(len(text) <= MAX_LENGTH)
    return compile_expression(text, NAMES, "truth").evaluate(Table(world))


@settings(max_examples=100, deadline=None)
@given(conditions(), worlds)
def test_a_condition_means_what_an_independent_interpreter_says(part: Part, world: World) -> None:
    assume(not near(part, world))
    assert _evaluated(part, world) is part.mean(world)


@settings(max_examples=100, deadline=None)
@given(conditions(deciding=False), worlds)
def test_without_or_not_and_known_nothing_unknown_is_ever_true(part: Part, world: World) -> None:
    assume(any(world[name] is None for name in used(part)))
    assert _evaluated(part, world) is not True


def _asks_known(part: Part) -> bool:
    return part.kind == "known" or any(
        _asks_known(one) for one in part.parts if isinstance(one, Part)
    )


@settings(max_examples=100, deadline=None)
@given(conditions(), worlds, worlds)
def test_what_is_decided_without_a_value_stays_so_whatever_the_value_turns_out_to_be(
    part: Part, world: World, later: World
) -> None:
    assume(not _asks_known(part))
    first = _evaluated(part, world)
    filled = {name: one if one is not None else later[name] for name, one in world.items()}
    if first is not None:
        assert _evaluated(part, filled) is first


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_unknown_whoever_answers_for_the_name(odd: float) -> None:
    table = Table(dict.fromkeys(NAMES))
    table.world["VOL"] = table.world["mark"] = odd
    for text in ("VOL > 1 L", "VOL < 1 L", "mark != 1", "VOL within 0..1 L", "not VOL > 1 L"):
        assert compile_expression(text, NAMES, "truth").evaluate(table) is None, text
    assert compile_expression("known(VOL)", NAMES, "truth").evaluate(table) is False


def test_a_conversion_beyond_a_float_is_unknown() -> None:
    table = Table({name: Fraction(10) ** 306 for name in NAMES})
    assert compile_expression("VOL * fold", NAMES, "volume").evaluate(table) is None
    flow = {"q": Name("variable", NAMED["flow"]), **NAMES}
    table.world["q"] = 1.0
    assert compile_expression("q > VOL / 1 s", flow, "truth").evaluate(table) is None
    assert compile_expression("VOL / 1 s", flow, "flow").evaluate(table) is None


def test_a_product_beyond_any_quantity_is_refused_at_load() -> None:
    with pytest.raises(ExpressionError, match="power above 12"):
        compile_expression("*".join(["VOL"] * 5) + " > 1", NAMES)


def _read(text: str) -> tuple[Expression | None, str]:
    """The expression, or the words it is refused with."""
    try:
        return compile_expression(text, NAMES), ""
    except ExpressionError as error:
        return None, str(error)


_WORDS = st.sampled_from([
    "VOL", "LEFT", "wait", "fold", "mark", "and", "or", "not", "within", "held(", "age(", "known(",
    "min(", "max(", "exp(", "log(", "abs(", "(", ")", ",", "..", ">", "<", ">=", "==", "!=", "+",
    "-", "*", "/", "1", "2.5", "1e400", "9e30 L", "37 degC", "1 K", "3 %", "10 min", '"x"', '"',
    "1.5e6 /mL", "1e6/mL", "½", "\x00", "🧫", "0x1", "..1", "1..2 L", "%", "{}", "__class__",
])  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(_WORDS, max_size=40).map(" ".join) | st.text(max_size=80))
def test_whatever_the_words_they_are_an_expression_or_refused_as_one(text: str) -> None:
    found, why = _read(text)
    assert found is not None or why
    if found is None:
        return
    for value in (None, Fraction(0), Fraction(10) ** 300, Fraction(-1, 3)):
        result = found.evaluate(Table(dict.fromkeys(NAMES, value)))
        assert result is None or isinstance(result, bool | float | str)
        if isinstance(result, float) and not isinstance(result, bool):
            assert math.isfinite(result)


@settings(max_examples=200, deadline=None)
@given(conditions(), st.data())
def test_a_condition_with_one_character_changed_is_read_or_refused(
    part: Part, data: st.DataObject
) -> None:
    text = part.text()
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(list('()<>=.,+-*/% eEdgCLm0"_&|!')))
    found, why = _read(text[:place] + other + text[place + 1 :])
    assert found is not None or why


@pytest.mark.parametrize(
    "text",
    ["(" * 190 + "1" + ")" * 190, "not " * 90 + "mark > 1", "-" * 390 + "1", "1" * 401,
     "known(" * 40 + "VOL" + ")" * 40, "min(" + "1, " * 120 + "1)", " or ".join(["mark>1"] * 40)],
)  # fmt: skip
def test_deep_and_long_texts_are_refused_or_read_never_more(text: str) -> None:
    found, why = _read(text)
    assert found is not None or why
