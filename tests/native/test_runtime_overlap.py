"""What these tests rest on: two accesses within one call each race for certain, and a border between them orders."""

import pytest

from tests.native.snippets import COMPILERS, races_of, watched_here

pytestmark = watched_here

_WRITES_AND_READS = """
static volatile long shared;
static NOINLINE void writes(void) {{ shared++; }}
static NOINLINE long reads(void) {{ return shared; }}
static void left(void) {{ writes(); {between} reach(1); await(2); }}
static void right(void) {{ await(1); reads(); reach(2); }}
"""


@pytest.mark.parametrize("cc", COMPILERS)
def test_accesses_that_overlap_race(tmp_path, cc):
    outcome = races_of(tmp_path, _WRITES_AND_READS.format(between=""), cc=cc)

    assert outcome.races == [{("write", "writes"), ("read", "reads")}]
    assert "shared" in outcome.text


@pytest.mark.parametrize("cc", COMPILERS)
def test_what_is_done_before_a_call_of_the_interpreter_is_told_but_must_be_heard(tmp_path, cc):
    """The reader has heard nothing since: its stretch began, perhaps, before the writer's call."""
    outcome = races_of(
        tmp_path,
        """
static volatile long shared;
static NOINLINE void writes(void) { shared++; }
static NOINLINE long reads(void) { return shared; }
static volatile long other;
static void left(void)
{
    await(1);
    for (int i = 0; i < 300; i++) PyErr_Clear();       /* time goes on by what is done */
    writes();
    PyErr_Clear();
    reach(2);
    await(3);
}
static void right(void) { other++; reach(1); await(2); reads(); reach(3); }
""",
        cc=cc,
    )
    assert outcome.functions == {"writes", "reads"}


@pytest.mark.parametrize("cc", COMPILERS)
def test_a_call_of_the_interpreter_on_both_sides_orders(tmp_path, cc):
    outcome = races_of(
        tmp_path,
        """
static volatile long shared;
static NOINLINE void writes(void) { shared++; }
static NOINLINE long reads(void) { return shared; }
static volatile long other;
static void left(void) { await(1); writes(); PyErr_Clear(); reach(2); await(3); }
static void right(void) { other++; reach(1); await(2); PyErr_Clear(); reads(); reach(3); }
""",
        cc=cc,
    )
    assert outcome.races == []
