// Plain sockets, with readv and writev of the payload's own buffers: the floor that every other stack is held against.
#include <cstdint>
#include <optional>
#include <random>

#include "channels/open.h"
#include "channels/socket.h"
#include "channels/tcp_caller.h"
#include "channels/tcp_server.h"

namespace tensorwire {
namespace {

std::uint64_t ticket() {
  std::random_device source;
  return std::uniform_int_distribution<std::uint64_t>()(source);
}

class TcpChannel final : public Channel {
 public:
  TcpChannel(const Opening& opening, Rendezvous& rendezvous)
      : unix_(opening.host.starts_with("unix:")), timeout_(opening.timeout) {
    if (opening.serves) server_.emplace(address_of(opening.host, opening.port, opening.rank), opening.spin, ticket());
    invitations_ = rendezvous.all_gather(server_ ? tcp::text_of(server_->invitation()) : "");
  }

  std::unique_ptr<Caller> caller(std::span<const std::uint32_t> slots) override {
    return std::make_unique<tcp::TcpCaller>(slots, invitations_, timeout_);
  }

  void answer_with(std::span<const Payload> answers) override {
    if (server_) server_->answer_with(answers);
  }

  Served served() const override { return server_ ? server_->served() : Served{}; }

  Settings settings() const override {
    return {{"transport", unix_ ? "unix" : "tcp"}, {"no_delay", unix_ ? "not applicable" : "true"}};
  }

 private:
  bool unix_;
  Nanoseconds timeout_;
  std::optional<tcp::Server> server_;
  std::vector<std::string> invitations_;
};

}  // namespace

std::unique_ptr<Channel> open(const Opening& opening, Rendezvous& rendezvous) {
  return std::make_unique<TcpChannel>(opening, rendezvous);
}

}  // namespace tensorwire
