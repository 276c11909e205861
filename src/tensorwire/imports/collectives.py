"""What PyTorch's traces say of one collective, in each of the forms that they have for it.

`record_param_comms`, of NCCL and its like, gives the collective's name, number of elements in and out, element type and
process group: the profiler as `args` of an event ("In msg nelems"), the execution trace as `attrs` of a node
("in_msg_nelems"). Field names are those of torch/csrc/profiler/util.h and
torch/csrc/profiler/standalone/execution_trace_observer.cpp. gloo has none of that (torch 2.13). Of it, the profiler has
an annotation, `gloo:all_reduce`, with the shapes and types of the tensors that the program gave it. An execution trace
has the same, but loses the last one now and then, so that there the operator is read, `c10d::allreduce_`.
"""

import re
from collections.abc import Mapping
from math import prod
from typing import Any

import msgspec

from tensorwire.units import Bytes

PARAM_COMMS = "record_param_comms"
GLOO = "gloo:"
OPERATOR = "c10d::"

_FIELDS = {  # ours, the profiler's, the execution trace's
    "collective": ("Collective name", "collective_name"),
    "dtype": ("dtype", "dtype"),
    "sent": ("In msg nelems", "in_msg_nelems"),
    "group": ("Process Group Name", "pg_name"),
    "size": ("Group size", "pg_size"),
    "to": ("Dst Rank", ""),  # a global rank; an execution trace has none
}
# c10::ScalarType by its name, the names that C++ has for the same types, without spaces, and those that Python has.
_WIDTHS = {
    1: "byte char bool uint8 int8 qint8 quint8 float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz unsignedchar"
    " signedchar",
    2: "short half bfloat16 int16 uint16 float16 shortint unsignedshort",
    4: "int float int32 uint32 float32 qint32 complexhalf complex<half> unsignedint",
    8: "long double int64 uint64 float64 complexfloat complex64 longint longlong unsignedlong complex<float>",
    16: "complexdouble complex128 complex<double>",
}
_WIDTH = {name: width for width, names in _WIDTHS.items() for name in names.split()}
_RECEIVES = ("recv", "irecv")
_SENT = {  # which argument of an operator holds what this rank sends; None: it sends nothing
    **dict.fromkeys(("allreduce_", "allreduce_coalesced_", "broadcast_", "reduce_", "send"), 0),
    **dict.fromkeys(("allgather_", "_allgather_base_", "allgather_coalesced_", "allgather_into_tensor_coalesced_"), 1),
    **dict.fromkeys(("reduce_scatter_", "_reduce_scatter_base_", "reduce_scatter_tensor_coalesced_"), 1),
    **dict.fromkeys(("gather_", "scatter_", "alltoall_", "alltoall_base_"), 1),
    **dict.fromkeys(("barrier", "monitored_barrier_"), None),
}
_LIST = "GenericList["
_TENSOR = re.compile(r"Tensor\(([^()]+)\)")

RECEIVED = "of receiving, which the sender's trace has"
NOTHING = "that carry nothing, such as waits and barriers"
NAMELESS = "without a name or an element count"
SHAPELESS = "of gloo without shapes: the trace was not recorded with record_shapes=True"


class Group(msgspec.Struct, frozen=True):
    """A process group, by its name in the trace and its number of ranks."""

    name: object = None
    size: object = None

    def __str__(self) -> str:
        return f"group {self.name or '?'} of {self.size or '?'}"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One collective: the buffers that the program handed to it, or why there are none to take."""

    collective: str
    peer: str
    sizes: tuple[Bytes, ...] = ()
    left_out: str = ""
    joined: bool = False
    """The sizes are one sum, whatever number of tensors there was."""


def of_event(args: Mapping[str, Any]) -> Seen:
    """From the arguments of the profiler's record_param_comms."""
    return _param_comms({ours: args.get(names[0]) for ours, names in _FIELDS.items()})


def of_node(attributes: Mapping[Any, Any]) -> Seen:
    """From the attributes of an execution trace's record_param_comms."""
    return _param_comms({ours: attributes.get(names[1]) for ours, names in _FIELDS.items()})


def of_gloo(name: str, shapes: object, types: object, group: Group) -> Seen:
    """From the name of gloo's annotation, and its tensors' shapes and types, which are None where not recorded."""
    collective = name.removeprefix(GLOO)
    seen = Seen(collective=collective, peer=str(group))
    if collective.startswith(_RECEIVES):
        return msgspec.structs.replace(seen, left_out=RECEIVED)
    if not isinstance(shapes, list) or not isinstance(types, list):
        return msgspec.structs.replace(seen, left_out=SHAPELESS)
    return _tensors(seen, shapes, types)


def of_operator(name: str, inputs: Mapping[str, Any], group: Group) -> Seen:
    """From the name and the inputs of an operator in an execution trace."""
    operator = name.removeprefix(OPERATOR)
    seen = Seen(collective=operator.strip("_"), peer=str(group))
    if operator.startswith(_RECEIVES):
        return msgspec.structs.replace(seen, left_out=RECEIVED)
    place = _SENT.get(operator, -1)
    if place is None:
        return msgspec.structs.replace(seen, left_out=NOTHING)
    try:
        if place < 0:
            raise LookupError(operator)
        kind, shapes = str(inputs["types"][place]), [inputs["shapes"][place]]
        within = kind
        while within.startswith(_LIST):
            within = within.removeprefix(_LIST)
            shapes = [one for several in shapes for one in several]
    except (LookupError, TypeError):
        return msgspec.structs.replace(seen, left_out=NAMELESS)
    return _tensors(seen, shapes, _TENSOR.findall(kind))


def _tensors(seen: Seen, shapes: list[Any], types: list[Any]) -> Seen:
    """A buffer for each tensor."""
    if len(shapes) != len(types):
        return msgspec.structs.replace(seen, left_out=NAMELESS)
    sizes = []
    for shape, kind in zip(shapes, types, strict=True):
        if not isinstance(shape, list) or not all(isinstance(side, int) and side >= 0 for side in shape):
            return msgspec.structs.replace(seen, left_out=NAMELESS)
        if (width := _width(kind)) is None:
            return msgspec.structs.replace(seen, left_out=_unknown(kind))
        sizes.append(Bytes(prod(shape) * width))
    carried = tuple(size for size in sizes if size > 0)
    return msgspec.structs.replace(seen, sizes=carried, left_out="" if carried else NOTHING)


def _param_comms(fields: Mapping[str, Any]) -> Seen:
    collective, width = str(fields["collective"] or ""), _width(fields["dtype"])
    count, to = fields["sent"], fields["to"]
    peer = f"rank {to}" if isinstance(to, int) and to >= 0 else str(Group(fields["group"], fields["size"]))
    seen = Seen(collective=collective, peer=peer)
    if not collective or not isinstance(count, int) or count < 0:
        return msgspec.structs.replace(seen, left_out=NAMELESS)
    if collective.lower().startswith(_RECEIVES):
        return msgspec.structs.replace(seen, left_out=RECEIVED)
    if count == 0:
        return msgspec.structs.replace(seen, left_out=NOTHING)
    if width is None:
        return msgspec.structs.replace(seen, left_out=_unknown(fields["dtype"]))
    return msgspec.structs.replace(seen, sizes=(Bytes(count * width),), joined=True)


def _width(kind: object) -> int | None:
    """Bytes of an element of the type that is called so, also as `c10::Half`."""
    name = str(kind).lower().replace("c10::", "").replace(" ", "")
    return _WIDTH.get(name)


def _unknown(kind: object) -> str:
    return f"of the unknown type {kind!r}"
