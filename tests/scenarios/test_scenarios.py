from pathlib import Path

import pytest

from interlock.testing.scenario import Story, read_stories, titles

FOLDER = Path(__file__).parent
STORIES = [story for path in sorted(FOLDER.rglob("*.txt")) for story in read_stories(path)]


@pytest.mark.parametrize("story", STORIES, ids=titles(STORIES))
def test_the_story_holds_and_ends_with_a_way_out(story: Story) -> None:
    run = story.run()
    assert run.last_proven, f"{story.where}: hold a position to the end, so that its close is proven possible"


def test_no_two_stories_share_a_title() -> None:
    assert sorted(titles(STORIES)) == sorted(set(titles(STORIES)))
