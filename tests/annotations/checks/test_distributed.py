"""The same facts from Spark as from this machine."""

import pytest

from detector.annotations.picture_facts import examine_pictures


@pytest.mark.spark
@pytest.mark.parametrize("depth", ["pixels", "headers"])
def test_spark_gives_the_same_facts(spark, photos, monkeypatch, depth):
    """Pictures, a broken one, a flat one without a hash, a missing one; in more tasks than one."""
    from detector.annotations import distributed

    monkeypatch.setattr(distributed, "IMAGES_PER_TASK", 3)
    (photos / "photo_1.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    (photos / "photo_2.jpg").write_bytes(b"")
    images = [f"photo_{number}.jpg" for number in range(12)] + ["gone.jpg"]
    found = distributed.examine_pictures_on_spark(spark, photos, images, depth=depth)
    assert found == examine_pictures(photos, images, depth=depth)
    assert sum(fact.error_class is not None for fact in found) == 3
