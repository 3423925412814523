"""Pictures that are the same, by bytes, by hash, by name of their clip."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.annotations.duplicates import find_near_pairs, group_equal, hash_pixels, join_pairs
from detector.annotations.frame_names import name_frame, parse_clip
from detector.annotations.grouping import group_pictures
from detector.annotations.picture_facts import PictureFacts, examine_pictures

hashes_of = st.lists(st.one_of(st.none(), st.integers(0, 40), st.integers(2**64 - 9, 2**64 - 1)), max_size=25)


@settings(deadline=None)
@given(hashes_of, st.integers(0, 4), st.integers(1, 64))
def test_near_pictures_are_joined_as_every_pair_would(hashes, distance, block):
    """The same sets come out as from comparing all with all, whatever is compared at a time."""
    every = [
        (a, b)
        for b, second in enumerate(hashes)
        for a, first in enumerate(hashes[:b])
        if first is not None and second is not None and (first ^ second).bit_count() <= distance
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("detector.annotations.duplicates._BLOCK_PAIRS", block)
        found = find_near_pairs(hashes, max_distance_bits=distance)
    assert all((hashes[a] ^ hashes[b]).bit_count() == bits for a, b, bits in found)
    assert join_pairs(len(hashes), [(a, b) for a, b, _ in found]) == join_pairs(len(hashes), every)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=20))
def test_joined_positions_are_connected(pairs):
    """Each root is the lowest of its set, and no pair crosses two sets."""
    roots = join_pairs(15, pairs)
    assert all(roots[a] == roots[b] for a, b in pairs)
    assert all(root <= position and roots[root] == root for position, root in enumerate(roots))


def test_groups_join_all_three_reasons(photos):
    """Frames of a clip, copies of one of them and its twin to the eye are one group, by any chain."""
    frame = name_frame("clip", time_s=2, frame_index=60)
    facts = [
        PictureFacts(f"x/{name_frame('clip', time_s=0, frame_index=0)}", sha256="1", perceptual_hash=0),
        PictureFacts(f"y/{frame}", sha256="2", perceptual_hash=2**64 - 1),
        PictureFacts("copy.jpg", sha256="2", perceptual_hash=2**64 - 1),
        PictureFacts("twin.jpg", sha256="3", perceptual_hash=2**64 - 2),
        PictureFacts("alone.jpg", sha256="4", perceptual_hash=0xF0F0F0F0),
    ]
    groups = group_pictures(facts)
    assert {groups[fact.image] for fact in facts[:4]} == {"copy.jpg"}
    assert groups["alone.jpg"] == "alone.jpg"


@settings(deadline=None)
@given(
    st.text(min_size=1).filter(lambda t: "/" not in t and "\0" not in t),
    st.floats(0, 1e5),
    st.integers(0, 10**7),
)
def test_clip_is_read_from_the_name_it_was_written_to(clip, time_s, frame_index):
    """Whatever the clip is called, also like a frame."""
    assert parse_clip(name_frame(clip, time_s=time_s, frame_index=frame_index)) == clip


def test_other_drawn_pictures_are_not_alike(photos):
    """Twelve pictures, twelve hashes, no pair."""
    facts = examine_pictures(photos, [f"photo_{number}.jpg" for number in range(12)])
    assert find_near_pairs([fact.perceptual_hash for fact in facts]) == []


def test_flat_pictures_are_like_nothing(photos):
    """A white and a black picture have no hash: sheets of white are not one scene."""
    import numpy as np

    assert hash_pixels(np.full((50, 80, 3), 255, np.uint8)) is None
    assert group_equal([None, None]) == []


@pytest.mark.data
def test_only_alike_real_photos_are_near(data_pack):
    """Of 292 blood smears, which look alike to a stranger, one pair is two shots of one place."""
    folder = data_pack / "datasets" / "bccd_trainval"
    images = sorted(f"images/{path.name}" for path in (folder / "images").iterdir())
    facts = examine_pictures(folder, images)
    pairs = find_near_pairs([fact.perceptual_hash for fact in facts])
    assert [(images[a], images[b]) for a, b, _ in pairs] == [
        ("images/BloodImage_00037.jpg", "images/BloodImage_00038.jpg")
    ]
