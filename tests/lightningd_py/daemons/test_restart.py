"""How long a daemon that has died is waited for, and when there were too many deaths."""

from lightningd_py.daemons.restart import FIRST_WAIT, MINUTE, MOST_DEATHS, Deaths, manner


def test_waits_double_until_it_is_too_much() -> None:
    deaths = Deaths()
    waits = [deaths.one_more(float(second)) for second in range(MOST_DEATHS)]
    assert waits == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT, 8 * FIRST_WAIT, None]


def test_deaths_of_long_ago_do_not_count() -> None:
    deaths = Deaths()
    for number in range(3 * MOST_DEATHS):
        assert deaths.one_more(number * MINUTE / (MOST_DEATHS - 2)) is not None
    assert deaths.one_more(1_000 * MINUTE) == FIRST_WAIT


def test_how_it_has_died() -> None:
    manners = [manner(exit_status) for exit_status in (-9, 1, -40)]
    assert manners == ["killed by SIGKILL", "exit status 1", "killed by signal 40"]
