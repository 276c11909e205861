// The calling side: callers on completion queues of their own, over connections that all callers of a rank share.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "channels/grpc_options.h"
#include "core/channel.h"

namespace tensorwire::rpc {

/// Where a slot's calls go.
struct Peer {
  std::uint32_t rank;
  std::shared_ptr<grpc::Channel> connection;
};

/// The connections from one rank to the others, each made when it is first needed.
class Connections {
 public:
  /// `addresses[rank]` is where a rank serves, empty when it does not.
  Connections(const Options& options, std::vector<std::string> addresses, Nanoseconds timeout);

  /// The next of the connections to a rank, in turn. Throws PeerLost when the rank does not answer.
  Peer next(std::uint32_t rank);

 private:
  struct Ring {
    std::vector<std::shared_ptr<grpc::Channel>> connections;
    std::size_t handed_out = 0;
  };
  std::shared_ptr<grpc::Channel> connect(std::uint32_t rank) const;

  const Options& options_;
  const std::vector<std::string> addresses_;
  const Nanoseconds timeout_;
  std::mutex mutex_;
  std::vector<Ring> rings_;
};

/// A caller whose calls are RPCs of their own.
std::unique_ptr<Caller> unary_caller(std::vector<Peer> slots, bool serialized);

/// A caller whose slots keep a stream open for each kind of reply.
std::unique_ptr<Caller> stream_caller(std::vector<Peer> slots, bool serialized);

}  // namespace tensorwire::rpc
