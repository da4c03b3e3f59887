"""What steps say to a rebalance and to a cancellation, where they say less than one expects."""

import msgspec

from cli_story import at_s, engine, opening
from interlock.core.codes import Action, Code
from interlock.core.messages import Instruction, PermitIssued, Rebalance
from interlock.service.desk.rebalance import NOT_DURABLE, cancelled, orders_of, parts, rebalanced, undecided

CLOSE, VETO = Instruction("GOLD", Action.CLOSE), Instruction("EURO", Action.VETO)
MORE = Instruction("GOLD", Action.SCALE, 0.1, 1900.0)
OTHER = Instruction("EURO", Action.SCALE, 0.05, 1.0)


def told(*instructions: Instruction) -> Rebalance:
    return Rebalance("book", "bot", "trend", instructions, created_at_ns=at_s(1))


def split(*instructions: Instruction) -> list[list[Instruction] | None]:
    return [None if part is None else list(part.instructions) for part in parts(told(*instructions))]


def test_what_closes_is_a_part_of_its_own_with_all_that_is_said_of_its_symbols() -> None:
    assert split(CLOSE, OTHER) == [[CLOSE], [OTHER]]
    assert split(MORE, CLOSE, OTHER) == [[MORE, CLOSE], [OTHER]]
    assert split(MORE, VETO) == [None, [MORE, VETO]]
    for nothing_opens in ((), (VETO,), (CLOSE,), (CLOSE, VETO), (MORE, CLOSE, VETO)):
        assert split(*nothing_opens) == [list(nothing_opens), None]


def test_what_the_disk_has_not_taken_is_not_granted_yet() -> None:
    made = engine()
    wish = told(MORE, OTHER)
    step = made.step(wish, at_s(1))
    late, _ = [each for each in step.outputs if isinstance(each, PermitIssued)]
    gold, euro = rebalanced(made.state, wish, step.outputs, unsettled=frozenset({late.id})).answers
    assert (gold.headline, gold.quantity, gold.note) == (Code.UNANSWERED, 0.0, NOT_DURABLE)
    assert (euro.headline, euro.quantity > 0.0) == (Code.ALLOWED, True)


def test_where_nothing_was_decided_nothing_is_said_of_instructions() -> None:
    answer = undecided(engine().state, told(MORE), (), Code.BUSY, "later")
    assert (answer.headline, answer.answers, answer.allowed, answer.note) == (Code.BUSY, (), False, "later")


def test_a_cancellation_that_came_to_nothing_may_still_open() -> None:
    made = engine()
    made.step(opening(), at_s(1))
    (order,) = orders_of(made.state, "i1")
    assert orders_of(made.state, "i") == ()
    assert cancelled("i1", (order,), (), ()).headline == Code.UNANSWERED
    abroad = msgspec.structs.replace(order, executor="bot")
    told_so = cancelled("i1", (abroad,), (), ("GOLD",))
    assert (told_so.headline, told_so.withdrawn, told_so.note) == (
        Code.ALLOWED,
        ("GOLD",),
        "bot executes some of it: cancel that there",
    )
