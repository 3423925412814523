"""Which packets are decoded: as few as give the wanted frames."""

import numpy as np

from detector.media.video.clock import PacketCollector
from detector.media.video.feeding import plan_feed
from detector.media.video.packets import PacketFacts


def make_facts(words):
    """Make facts from ``K0 3 1 2``: presentation times in decoding order, K a keyframe, x never shown."""
    return [
        None if word == "x" else PacketFacts(int(word.strip("K")), None, 1, "K" in word, "K" in word, False)
        for word in words.split()
    ]


def show(words, wanted):
    """Show what is done with each packet: . nothing, d decoded, w wanted, | before one to begin anew with."""
    facts = make_facts(words)
    feed = plan_feed(PacketCollector(facts).give(), np.array(list(wanted)))
    return "".join(
        ("|" if feed.begin_anew[n] and feed.decode[n] else "")
        + ("." if not feed.decode[n] else "w" if feed.wanted[n] else "d")
        for n in range(len(facts))
    )


def test_all_is_decoded_where_all_is_wanted():
    """Without beginning anew between groups."""
    assert show("K0 3 1 2 K4 6 5", range(7)) == "wwwwwww"


def test_nothing_after_the_last_wanted_frame():
    """Frame 1 needs 0 and 3; its group's end isn't read."""
    assert show("K0 3 1 2 K4 6 5", [1]) == "ddw...."


def test_groups_without_a_wanted_frame_are_left_out():
    """The decoder begins anew after them."""
    assert show("K0 1 2 K3 4 5 K6 7", [0, 7]) == "w.....|dw"


def test_keyframes_alone():
    """One packet of each group."""
    assert show("K0 1 2 K3 4 5 K6 7", [0, 3, 6]) == "w..|w..|w."


def test_leading_frames_need_the_group_before():
    """2 and 3 are shown before the keyframe 4: they refer to the open group's predecessor, too."""
    assert show("K0 1 K4 2 3 5", [3]) == "ddddw."
    assert show("K0 1 K4 2 3 5", [5]) == "..|d..w"


def test_a_file_s_first_leading_frames_need_none_before():
    """The index has them only where they were decoded; unwanted, they are left out."""
    assert show("K2 0 1 3", [0]) == "dw.."
    assert show("K2 0 1 3", [3]) == "d..w"


def test_packets_that_are_not_shown_are_decoded_all_the_same():
    """Later frames refer to them."""
    assert show("K0 x 1 2", [2]) == "ddd" + "w"


def test_a_cut_beginning_is_decoded_from_its_first_packet():
    """An edit list leaves out the keyframe's picture; what follows refers to it."""
    assert show("x 1 2 K3", [2]) == "ddw."
