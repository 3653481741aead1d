"""Networks that find people: their one part, and the one that this project trains."""

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
