"""A run's end and its proof: anchored at once if that can be, later if not, and never at the run's cost."""

from __future__ import annotations

from datetime import timedelta

from jml.evidence import anchor_in, problems
from shared.audit import audit, read_chain
from shared.closings import TABLE as CLOSINGS
from tests.fakes.checkpoints import trusted
from tests.fakes.stage import Stage
from tests.functional.test_run import LEAVER


async def test_evidence_of_a_closed_run_carries_the_checkpoint_that_holds_it(stage: Stage) -> None:
    await stage.offboard(LEAVER)
    document = await stage.only_run()
    signed = anchor_in(document)
    assert signed is not None
    anchor, one = document["chain"]["anchor"], signed.checkpoint
    assert (anchor["number"], anchor["hash"], anchor["key"]) == (1, one.hash, one.key.id)
    assert await trusted().refusal(one.key, one.digest, signed.signature) == ""
    assert problems(document) == []


async def test_evidence_whose_anchor_was_touched_does_not_verify(stage: Stage) -> None:
    await stage.offboard(LEAVER)
    document = await stage.only_run()
    anchor = document["chain"]["anchor"]
    for name, value in (("number", 2), ("hash", "0" * 64), ("key", "other"), ("signature", "***"), ("checkpoint", {})):
        forged = {**document, "chain": {**document["chain"], "anchor": {**anchor, name: value}}}
        assert problems(forged), name
    heads = [{**head, "rows": 1} for head in anchor["checkpoint"]["heads"]]
    other = {**anchor, "checkpoint": {**anchor["checkpoint"], "heads": heads}}
    [problem, *_] = problems({**document, "chain": {**document["chain"], "anchor": other}})
    assert problem == "chain: checkpoint 1 does not hold this run with these rows"


async def test_a_run_ends_as_it_would_when_no_checkpoint_can_be_written(stage: Stage) -> None:
    stage.container.away = True
    await stage.offboard(LEAVER)
    [run] = await stage.runs()
    assert run.state == "closed"
    stage.container.away = False
    assert (await stage.only_run())["chain"]["anchor"] == "unanchored"
    await stage.services.proof.write()
    assert (await stage.only_run())["chain"]["anchor"]["number"] == 1


async def test_what_is_to_be_anchored_is_known_before_the_runs_row_is_closed(stage: Stage) -> None:
    await stage.offboard(LEAVER)
    passed = stage.wire.passed
    closings, runs = (
        len(passed) - 1 - passed[::-1].index(f"after {what}") for what in (f"insert {CLOSINGS}", "replace runs")
    )
    assert closings < runs < passed.index("before add checkpoint")


async def test_the_ledger_of_a_whole_life_holds_against_the_checkpoints(stage: Stage) -> None:
    """Contained, retained, deleted: two runs, and whatever else was decided."""
    await stage.offboard(LEAVER)
    stage.clock.advance(timedelta(days=31))
    await stage.notice()
    await stage.work()
    await stage.services.proof.write()
    stage.clock.advance(timedelta(hours=2))
    found = await audit(stage.tables, await read_chain(stage.container, trusted()), stage.clock.now())
    assert (found.wrong, found.open, found.unanchored) == ([], [], 0)
    assert found.anchored == 2
