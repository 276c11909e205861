// The collective operations of MPI, native: the blocking calls, as programs make them.
#pragma once

#include <memory>

#include "channels/mpi_world.h"
#include "core/channel.h"

namespace tensorwire::mpi {

/// This rank's part in an operation of all ranks of the world. A call returns when its part is over: MPI has no
/// deadline for one, so that it is the driver who ends a rank that waits for one that is gone.
std::unique_ptr<Caller> collective(World& world, const Collective& part);

}  // namespace tensorwire::mpi
