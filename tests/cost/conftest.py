"""Networks to count: the small one that comes along, and a released one at its true shapes."""

import pytest
from cost.meta_network import SMALL, without_values

from submission.cost.released import config_json
from submission.cost.sizes import parse_sizes

CONFIGS = {"small": SMALL, "Sa2VA-1B": config_json("Sa2VA-1B")}


@pytest.fixture(scope="module", params=CONFIGS)
def sized(request):
    """A network without values, and its sizes as the cost room reads them."""
    return without_values(CONFIGS[request.param]), parse_sizes(CONFIGS[request.param])
