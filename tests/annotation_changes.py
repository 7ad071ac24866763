"""Changes of the annotation files of the small domains, for ``edit_json``."""

import numpy as np


def third(**changes):
    """Change the third person, whose id is 30 in COCO's format and 2 in MPII's."""

    def change(content):
        people = content["annotations"] if isinstance(content, dict) else content
        people[2].update(changes)

    return change


def third_without(key: str):
    """Remove a key from the third person."""

    def change(content):
        people = content["annotations"] if isinstance(content, dict) else content
        del people[2][key]

    return change


def third_image_entry(**changes):
    """Change the third image in COCO's format."""
    return lambda content: content["images"][2].update(changes)


def joints(count: int = 17, **of_joint) -> list[float]:
    """Labeled joints of COCO in the middle of the image, some of them changed."""
    values = np.tile([40.0, 40.0, 2.0], (count, 1))
    for index, value in of_joint.items():
        values[int(index[1:])] = value
    return values.ravel().tolist()
