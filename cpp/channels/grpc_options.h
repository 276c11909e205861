// How gRPC is set up: the channel's own options, and what gRPC is told because of them.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/channel.h"

namespace tensorwire::rpc {

/// Certificate files in PEM; the certificate must be issued for "localhost".
struct Tls {
  std::string certificate;
  std::string key;
  std::string authority;  // whom the callers trust
};

/// The options of the `grpc` channel; the same on all ranks.
struct Options {
  /// Throws ChannelError naming the option and what is allowed.
  explicit Options(const nlohmann::json& given);

  grpc::ChannelArguments client_arguments() const;
  void configure(grpc::ServerBuilder& builder) const;
  std::shared_ptr<grpc::ChannelCredentials> client_credentials() const;
  std::shared_ptr<grpc::ServerCredentials> server_credentials() const;
  Settings settings() const;

  bool stream;         // one open stream for each slot in place of one RPC for each call
  int connections;     // for each peer
  int server_queues;   // completion queues
  int server_threads;  // spread over the queues
  int frame_size;      // bytes of the largest HTTP/2 frame
  bool zero_copy;      // MSG_ZEROCOPY for what is sent
  std::string compression;
  std::optional<Tls> tls;

 private:
  grpc_compression_algorithm algorithm() const;
  std::vector<std::pair<std::string, int>> shared_arguments() const;  // what both ends are told alike
};

}  // namespace tensorwire::rpc
