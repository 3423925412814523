"""Which packets a decoder must be given for the frames that are wanted.

Owns that plan. A group of pictures is a keyframe's packet and all up to the next one in decoding order;
frames shown before their group's keyframe (leading ones, of open groups) refer to the group before, too.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.media.video.clock import PacketTimes

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Feed:
    """For each packet in decoding order, bool [N]: whether to decode it, and whether to begin anew with it.

    ``wanted``: its frame is to be given out; a packet that is decoded and not wanted serves others.
    """

    decode: Mask
    begin_anew: Mask
    wanted: Mask

    def count_needed(self) -> int:
        """Count the packets up to the last one to decode."""
        return int(np.flatnonzero(self.decode)[-1]) + 1 if self.decode.any() else 0


def feed_all(count: int) -> Feed:
    """Plan to decode ``count`` packets, all wanted."""
    return Feed(np.ones(count, bool), np.zeros(count, bool), np.ones(count, bool))


def plan_feed(packets: PacketTimes, wanted: NDArray[np.int64]) -> Feed:
    """Plan what to decode for the frames whose presentation times are in ``wanted``.

    ``packets`` begin with a keyframe's. Groups without a wanted frame, what follows a group's last wanted
    one, and leading frames whose references were left out are not decoded.
    """
    count = len(packets.pts)
    if not count:
        return feed_all(0)
    is_wanted = packets.is_shown & np.isin(packets.pts, wanted)
    begins_group = packets.is_key & packets.is_shown
    begins_group[0] = True
    starts, groups = np.flatnonzero(begins_group), np.cumsum(begins_group) - 1
    is_leading = (
        packets.is_shown & packets.is_shown[starts][groups] & (packets.pts < packets.pts[starts][groups])
    )
    # A wanted leading frame needs the whole group before its own.
    needs_before = np.logical_or.reduceat(is_wanted & is_leading, starts)
    places = np.arange(count)
    last = np.maximum.reduceat(np.where(is_wanted, places, -1), starts)
    ends = np.append(starts[1:], count) - 1
    last = np.where(np.append(needs_before[1:], False), ends, last)
    # Leading frames of the first group are wanted where they need no other: the index has no more of them.
    follows_whole = np.append(needs_before[0], (last == ends)[:-1])
    decode = (places <= last[groups]) & (follows_whole[groups] | ~is_leading)
    begin_anew = np.zeros(count, bool)
    begin_anew[starts[1:]] = ~follows_whole[1:]
    return Feed(decode, begin_anew, is_wanted)
