// The calling side: a place at the server for each slot, its messages prepared, its receives waiting.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "channels/mpi_options.h"
#include "channels/mpi_world.h"
#include "core/channel.h"

namespace tensorwire::mpi {

/// What all parts of one channel share.
struct Setting {
  World& world;
  Options options;
  MPI_Win window = MPI_WIN_NULL;  // of one-sided transfers, where they are asked for
  bool spins = false;
  Nanoseconds timeout = 0;
};

/// Slot `i` talks to rank `slots[i]`, whose server's control connection is at `addresses[slots[i]]`. Throws PeerLost.
std::unique_ptr<Caller> caller(const Setting& setting, std::span<const std::uint32_t> slots,
                               std::span<const std::string> addresses);

/// Keeps what MPI may still refer to until the process ends, which is then without MPI_Finalize.
void keep_for_good(World& world, std::shared_ptr<void> what);

/// Ends receives that are under way. False when one does not end.
bool cancel(std::span<MPI_Request> receives);

}  // namespace tensorwire::mpi
