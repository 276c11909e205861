// UCX (openucx.org) through its UCP layer: active messages or tags, over whatever transport it finds between two ranks.
#include <map>
#include <optional>

#include "channels/open.h"
#include "channels/ucx_caller.h"
#include "channels/ucx_context.h"
#include "channels/ucx_options.h"
#include "channels/ucx_server.h"
#include "core/errors.h"

namespace tensorwire {
namespace {

class UcxChannel final : public Channel {
 public:
  UcxChannel(const Opening& opening, Rendezvous& rendezvous)
      : timeout_(opening.timeout),
        context_(std::make_shared<const ucx::Context>(ucx::Options(opening.options), opening)) {
    if (opening.serves) server_.emplace(context_, opening, routes_);
    for (const std::string& blob : rendezvous.all_gather(server_ ? server_->address().blob() : "")) {
      addresses_.push_back(ucx::Address::read(blob));
    }
  }

  std::unique_ptr<Caller> caller(std::span<const std::uint32_t> slots) override {
    return ucx::caller(context_, slots, addresses_, timeout_, routes_);
  }

  void answer_with(std::span<const Payload> answers) override {
    if (server_) server_->answer_with(answers);
  }

  Served served() const override { return server_ ? server_->served() : Served{}; }

  Settings settings() const override {
    Settings settings = context_->options().settings();
    const ucx::Route route = routes_.all();
    settings["transport"] = route.transports.empty() ? "not connected" : ucx::in_words(route.transports);
    settings["devices"] = ucx::in_words(route.devices);
    settings["protocols"] = route.protocols.empty() ? "not told" : route.protocols;
    settings["ucx"] = context_->library().version();
    settings["ucx_library"] = context_->library().path();
    settings["ucx_built_against"] = ucx::built_against();
    return settings;
  }

 private:
  Nanoseconds timeout_;
  std::shared_ptr<const ucx::Context> context_;
  ucx::Routes routes_;
  std::optional<ucx::Server> server_;
  std::vector<ucx::Address> addresses_;
};

}  // namespace

std::unique_ptr<Channel> open(const Opening& opening, Rendezvous& rendezvous) {
  if (opening.host.starts_with("unix:")) {
    throw ChannelError(
        "channel ucx does not serve at unix sockets; use --host ADDRESS, and -o transport=shm for memory "
        "that ranks share");
  }
  return std::make_unique<UcxChannel>(opening, rendezvous);
}

}  // namespace tensorwire
