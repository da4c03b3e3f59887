"""While a position or an opening order lives, its symbol is one strategy's; several strategies share an account so."""

from hypothesis import given
from hypothesis import strategies as st

from interlock.core.codes import Code, PermitState
from interlock.core.messages import Adopted, Decision, PermitIssued, Step
from interlock.testing import Bench, make_policy, open_bench
from interlock.testing.bench import picture

BOTH = {"sources.both": {"trend": ["open", "close"], "mean": ["open", "close"]}}
STRATEGIES = {"trend": "bot", "mean": "rival"}


def bench(**options: object) -> Bench:
    return open_bench(policy=make_policy("layered@1", changes=BOTH), **options)  # type: ignore[arg-type]


def ask(made: Bench, strategy: str, side: int = 1, symbol: str = "BTC", source: str = "", **wish: object) -> Step:
    fields = {"quantity": 1.0, "source": source or STRATEGIES[strategy], "strategy": strategy, **wish}
    return made.send(made.intent(symbol, side, **fields))


def headline(step: Step) -> Code:
    return next(each.headline for each in step.outputs if isinstance(each, Decision))


def permit(step: Step) -> PermitIssued:
    return next(each for each in step.outputs if isinstance(each, PermitIssued))


def test_a_permit_takes_the_symbol_and_its_end_gives_it_back() -> None:
    made = bench()
    mine = permit(ask(made, "trend"))
    assert headline(ask(made, "mean")) is Code.SYMBOL_OWNED
    assert headline(ask(made, "mean", symbol="ETH")) is Code.ALLOWED
    made.result(mine.id, PermitState.REJECTED)
    assert headline(ask(made, "mean")) is Code.ALLOWED
    assert headline(ask(made, "trend")) is Code.SYMBOL_OWNED


def test_a_permit_that_nobody_used_gives_it_back_when_it_expires() -> None:
    made = bench()
    mine = permit(ask(made, "trend"))
    made.pass_until(mine.expires_ns)
    assert headline(ask(made, "mean")) is Code.SYMBOL_OWNED
    made.pass_until(mine.expires_ns + 1)
    assert headline(ask(made, "mean")) is Code.ALLOWED


def test_a_position_keeps_the_symbol_until_nothing_is_left_of_it() -> None:
    made = bench()
    made.fill(permit(ask(made, "trend", quantity=4.0)).id)
    made.fill(permit(ask(made, "trend", -1, quantity=3.0, reduce_only=True)).id)
    assert headline(ask(made, "mean")) is Code.SYMBOL_OWNED
    assert headline(ask(made, "trend")) is Code.ALLOWED
    made.pass_until(made.clock.true_ns + 60 * 10**9)  # that permit has expired
    made.fill(permit(ask(made, "trend", -1, reduce_only=True)).id)
    assert headline(ask(made, "mean")) is Code.ALLOWED


def test_what_is_filled_in_part_and_then_cancelled_keeps_it() -> None:
    made = bench()
    mine = permit(ask(made, "trend", quantity=4.0))
    made.result(mine.id, PermitState.CANCELLED, mine.steps // 4)
    assert headline(ask(made, "mean")) is Code.SYMBOL_OWNED


def test_it_is_the_strategy_that_counts_and_not_who_speaks_for_it() -> None:
    made = bench()
    made.fill(permit(ask(made, "trend", source="both")).id)
    assert headline(ask(made, "trend")) is Code.ALLOWED
    assert headline(ask(made, "mean", source="both")) is Code.SYMBOL_OWNED


def test_a_position_that_turned_round_is_still_its_strategys() -> None:
    made = bench()
    made.fill(permit(ask(made, "trend", quantity=2.0)).id)
    turned = made.fill(permit(ask(made, "trend", -1, quantity=5.0)).id)
    made.fill(permit(turned).id)
    made.refresh()
    assert headline(ask(made, "mean", -1)) is Code.SYMBOL_OWNED
    assert headline(ask(made, "trend", -1)) is Code.ALLOWED


def test_an_adopted_position_is_the_strategys_it_was_adopted_for() -> None:
    made = bench(holdings={"BTC": (5.0, 100.0)})
    made.send(Adopted("BTC", "mean", 95.0, "alice"))
    assert headline(ask(made, "trend")) is Code.SYMBOL_OWNED
    assert headline(ask(made, "mean")) is Code.ALLOWED


def test_what_was_opened_outside_the_gate_is_no_strategys_until_it_is_adopted() -> None:
    made = bench(holdings={"BTC": (5.0, 100.0)})
    assert headline(ask(made, "trend")) is Code.SYMBOL_OWNED
    assert headline(ask(made, "trend", symbol="ETH")) is Code.ALLOWED
    made.pass_until(made.clock.true_ns + 15 * 10**9)
    assert made.engine.state.symbols[0].owner == -1
    assert headline(ask(made, "trend", -1, quantity=5.0, reduce_only=True)) is Code.ALLOWED


def test_whose_it_is_lives_through_a_restart() -> None:
    made = bench()
    made.fill(permit(ask(made, "trend")).id)
    assert picture(made.folded().state) == picture(made.engine.state)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("trend", "mean")),
            st.sampled_from(("BTC", "ETH")),
            st.sampled_from((1, -1)),
            st.sampled_from(("fill", "part", "reject", "leave", "out")),
        ),
        max_size=12,
    )
)
def test_a_symbol_is_never_two_strategies_at_once(acts: list[tuple[str, str, int, str]]) -> None:
    made = bench()
    for strategy, symbol, side, then in acts:
        step = ask(made, strategy, side, symbol, reduce_only=then == "out")
        for each in [output for output in step.outputs if isinstance(output, PermitIssued)]:
            if then == "part":
                made.result(each.id, PermitState.CANCELLED, each.steps // 2)
            elif then == "reject":
                made.result(each.id, PermitState.REJECTED)
            elif then != "leave":
                made.fill(each.id)
        state = made.engine.state
        for index, r in enumerate(state.symbols):
            alive = {p.strategy for p in state.permits.alive() if p.symbol == index and not p.reduce_only}
            assert alive <= {r.owner}
            assert (r.owner == -1) == (r.position == 0 and not alive and not r.permits)
