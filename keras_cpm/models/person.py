"""Networks that find people: their one part, the one that this project trains, and from which
scores on somebody is a person.
"""

from ..pose.skeleton import Skeleton
from ..pose.spec import PoseSpec

# one part, where a person's middle is; the belief peaks of such a network are people
PERSON1 = Skeleton("person1", ("center",))

# of the person network that is trained on `data.synthetic.groups`
PERSON_SPEC = PoseSpec(PERSON1, box_size=192, person_height=80.0, part_sigma=10.0, background=False)
# arguments of `build_cpm`
PERSON_NETWORK = {
    "stages": 2,
    "backbone": "light",
    "stage_block": "light",
    "width": 32,
    "center_map": False,
    "input_size": "any",
}

# Belief of a person network above which a place is worth a look at the pose there; mean score of
# the pose's parts above which it is a person; people in a photograph, unless told otherwise.
POSSIBLE, THRESHOLD, MOST_PEOPLE = 0.1, 0.45, 20
# Zooms of a photograph at which such places are looked for: half as far apart as the network
# reaches, so that nobody falls between two.
ZOOMS = (0.35, 0.5, 0.71, 1.0, 1.41, 2.0)
