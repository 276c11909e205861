// gRPC C++: a generic service over grpc::ByteBuffer, asynchronous, with one completion queue for each thread.
#include <absl/synchronization/mutex.h>
#include <google/protobuf/stubs/common.h>
#include <grpc/support/log.h>

#include <cstdlib>
#include <optional>

#include "channels/grpc_caller.h"
#include "channels/grpc_options.h"
#include "channels/grpc_server.h"
#include "channels/open.h"

namespace tensorwire {
namespace {

class GrpcChannel final : public Channel {
 public:
  GrpcChannel(const Opening& opening, Rendezvous& rendezvous)
      : options_(opening.options), unix_(opening.host.starts_with("unix:")), serialized_(opening.serialized) {
    if (opening.serves) server_.emplace(opening, options_);
    connections_.emplace(options_, rendezvous.all_gather(server_ ? server_->address() : ""), opening.timeout);
  }

  std::unique_ptr<Caller> caller(std::span<const std::uint32_t> slots) override {
    std::vector<rpc::Peer> peers;
    for (const std::uint32_t rank : slots) peers.push_back(connections_->next(rank));
    return options_.stream ? rpc::stream_caller(std::move(peers), serialized_)
                           : rpc::unary_caller(std::move(peers), serialized_);
  }

  void answer_with(std::span<const Payload> answers) override {
    if (server_) server_->answer_with(answers);
  }

  Served served() const override { return server_ ? server_->served() : Served{}; }

  Settings settings() const override {
    Settings settings = options_.settings();
    settings["transport"] = unix_ ? "unix" : options_.tls ? "tls" : "tcp";
    settings["mutex_deadlock_detection"] = "off";
    settings["protobuf"] = google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION);
    return settings;
  }

 private:
  const rpc::Options options_;
  const bool unix_;
  const bool serialized_;
  std::optional<rpc::Connections> connections_;
  std::optional<rpc::Server> server_;
};

/// What goes wrong is thrown; gRPC's own log would say it twice, unless somebody asked for it.
void quieten() {
  if (std::getenv("GRPC_VERBOSITY") == nullptr) {
    gpr_set_log_function([](gpr_log_func_args*) {});
  }
}

/// Debian builds absl with the search for deadlocks that release builds leave out: 7 % of a small call.
void stop_looking_for_deadlocks() { absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore); }

}  // namespace

std::unique_ptr<Channel> open(const Opening& opening, Rendezvous& rendezvous) {
  quieten();
  stop_looking_for_deadlocks();
  return std::make_unique<GrpcChannel>(opening, rendezvous);
}

}  // namespace tensorwire
