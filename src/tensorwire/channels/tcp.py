"""Plain sockets: the floor that every other stack is held against. The native half is cpp/channels/tcp.cc."""

from tensorwire.channels import Native

channel = Native(
    name="tcp",
    summary="plain sockets, readv and writev of the payload's buffers: the floor",
    remedy="it needs nothing but a C++20 compiler",
)
