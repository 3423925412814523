"""Which packets a decoder must be given for the frames that are wanted.

Owns that plan. A group of pictures is a keyframe's packet and all up to the next one in decoding order;
frames shown before their group's keyframe (leading ones, of open groups) refer to the group before, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from detector.media.video.packets import PacketFacts


@dataclass(frozen=True)
class Feed:
    """For each packet in decoding order: whether to decode it, and whether to begin anew with it.

    ``wanted``: its frame is to be given out; a packet that is decoded and not wanted serves others.
    """

    decode: list[bool]
    begin_anew: list[bool]
    wanted: list[bool]


def plan_feed(facts: Sequence[PacketFacts | None], wanted: set[int]) -> Feed:
    """Plan what to decode for the frames whose presentation times are in ``wanted``.

    ``facts`` are the packets in decoding order from a keyframe on; None is a packet without a shown frame.
    Groups without a wanted frame, what follows a group's last wanted one, and leading frames whose
    references were left out are not decoded.
    """
    is_wanted = [found is not None and found.pts in wanted for found in facts]
    starts = [
        place for place, found in enumerate(facts) if place == 0 or (found is not None and found.is_key)
    ]
    decode, begin_anew = [False] * len(facts), [False] * len(facts)
    needs_whole = False
    groups = list(zip(starts, [*starts[1:], len(facts)], strict=True))
    is_whole = [False] * len(groups)
    for number in reversed(range(len(groups))):
        begin, end = groups[number]
        last = max((place for place in range(begin, end) if is_wanted[place]), default=-1)
        last = end - 1 if needs_whole else last
        for place in range(begin, last + 1):
            decode[place] = True
        is_whole[number] = last == end - 1
        needs_whole = any(
            is_wanted[place] and _is_leading(facts, begin, place) for place in range(begin, end)
        )
    for number, (begin, end) in enumerate(groups):
        if number == 0 or not is_whole[number - 1]:
            begin_anew[begin] = number > 0
            for place in range(begin, end):
                decode[place] = decode[place] and not _is_leading(facts, begin, place)
    return Feed(decode, begin_anew, is_wanted)


def _is_leading(facts: Sequence[PacketFacts | None], begin: int, place: int) -> bool:
    key, found = facts[begin], facts[place]
    return found is not None and key is not None and (found.pts or 0) < (key.pts or 0)
