// MPI (mpi-forum.org), point to point with prepared messages, or one-sided; Open MPI or MPICH, whichever this was built
// for.
#include <optional>

#include "channels/mpi_caller.h"
#include "channels/mpi_collective.h"
#include "channels/mpi_options.h"
#include "channels/mpi_server.h"
#include "channels/mpi_world.h"
#include "channels/open.h"
#include "channels/socket.h"
#include "core/errors.h"

namespace tensorwire {
namespace {

class MpiChannel final : public Channel {
 public:
  MpiChannel(const Opening& opening, Rendezvous& rendezvous) : options_(opening.options) {
    Socket listening;
    std::string address;
    if (opening.serves) {
      const std::string asked = address_of(opening.host, opening.port, opening.rank);
      listening = listen_at(asked);
      address = bound_address(listening, asked);
    }
    const mpi::Startup startup{.transport = options_.transport,
                               .host = opening.host,
                               .timeout = opening.timeout,
                               .spins = opening.spin,
                               .alone = opening.alone};
    mpi::World& world = mpi::World::join(startup, opening.rank, rendezvous);
    setting_.emplace(
        mpi::Setting{.world = world, .options = options_, .spins = opening.spin, .timeout = opening.timeout});
    if (options_.one_sided) setting_->window = world.window();
    if (opening.serves) server_.emplace(*setting_, std::move(listening));
    addresses_ = rendezvous.all_gather(address);
  }

  std::unique_ptr<Caller> caller(std::span<const std::uint32_t> slots) override {
    return mpi::caller(*setting_, slots, addresses_);
  }

  void answer_with(std::span<const Payload> answers) override {
    if (server_) server_->answer_with(answers);
  }

  std::unique_ptr<Caller> collective(const Collective& part) override {
    together_ = true;
    return mpi::collective(setting_->world, part);
  }

  Served served() const override { return server_ ? server_->served() : Served{}; }

  Settings settings() const override {
    Settings settings = options_.settings();
    settings.merge(setting_->world.settings());
    if (together_) settings["collective"] = "native";
    return settings;
  }

 private:
  mpi::Options options_;
  std::optional<mpi::Setting> setting_;
  std::optional<mpi::Server> server_;
  std::vector<std::string> addresses_;
  bool together_ = false;
};

}  // namespace

std::unique_ptr<Channel> open(const Opening& opening, Rendezvous& rendezvous) {
  if (opening.host.starts_with("unix:")) {
    throw ChannelError(
        "channel mpi does not serve at unix sockets; use --host ADDRESS, and -o transport=shm for memory that ranks "
        "share");
  }
  return std::make_unique<MpiChannel>(opening, rendezvous);
}

}  // namespace tensorwire
