"""Moves nothing: what is measured over it is the loop's own cost. The native half is cpp/channels/null.cc."""

from tensorwire.channels import Native
from tensorwire.collective import OPERATIONS

channel = Native(
    name="null",
    summary="moves nothing: the cost of the timing loop itself",
    remedy="it needs nothing but a C++20 compiler",
    collectives=OPERATIONS,
)
