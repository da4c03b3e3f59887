from pathlib import Path

import pytest
from playwright.sync_api import Browser

import required_parts

PARTS = """
    import required_parts

    required_parts.PARTS.update(here=lambda: None, gone=lambda: "no gone: install gone")
"""
SUITE = """
    def test_here(requires):
        requires("here")

    def test_gone(requires):
        requires("gone")
        raise AssertionError("went on without the part")
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv("REQUIRE", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(required_parts.__file__).parent))
    pytester.makeconftest(PARTS)
    pytester.makepyfile(SUITE)
    return pytester


def run(suite: pytest.Pytester) -> pytest.RunResult:
    return suite.runpytest_subprocess("-rs", "-p", "required_parts")


def test_an_absent_part_that_nobody_named_skips_with_the_remedy(suite: pytest.Pytester) -> None:
    result = run(suite)
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*gone: no gone: install gone*"])


def test_an_absent_part_that_is_named_fails(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUIRE", "here, gone")
    result = run(suite)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*REQUIRE names gone, but there is no gone: install gone*"])


def test_a_misspelt_part_stops_the_run(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUIRE", "browzer")
    result = run(suite)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*REQUIRE names browzer: known are *browser*"])


def test_the_browser_renders_and_runs_scripts(browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.set_content("<p id=p></p><script>p.textContent = 6 * 7</script>")
        assert page.locator("#p").inner_text() == "42"
