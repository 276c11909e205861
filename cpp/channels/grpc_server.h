// The serving side: a generic service on completion queues that threads of its own drive.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "channels/grpc_message.h"
#include "channels/grpc_options.h"
#include "channels/open.h"

namespace tensorwire::rpc {

/// What one thread counts, alone; any thread may read it.
struct alignas(64) Tally {
  void add(const Served& more);
  Served read() const;

  std::atomic<std::uint64_t> calls = 0;
  std::atomic<std::uint64_t> bytes = 0;
  std::atomic<Nanoseconds> serialize = 0;
  std::atomic<Nanoseconds> deserialize = 0;
};

/// A completion queue, and how many exchanges stand ready on it for the next call.
struct Post {
  std::unique_ptr<grpc::ServerCompletionQueue> queue;
  std::atomic<int> ready = 0;
};

/// Serves from when it is made until it is destroyed, which cancels what is still in flight.
class Server {
 public:
  /// Throws AddressInUse or ChannelError when it cannot listen.
  Server(const Opening& opening, const Options& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  const std::string& address() const { return address_; }
  Served served() const;

  /// For calls that come from now on.
  void answer_with(std::span<const Payload> answers);

 private:
  friend class Exchange;

  /// The answers of one `answer_with`, as they are sent.
  struct Answers {
    std::span<const Payload> payloads;
    std::vector<grpc::ByteBuffer> plain;
  };

  /// The state of a serving thread.
  struct Worker {
    Tally tally;
    proto::Payload message;
  };

  void run(Post& post, Worker& worker);

  const bool serialized_;
  const bool spin_;
  std::string address_;
  grpc::AsyncGenericService service_;
  std::deque<Answers> given_;  // all that were ever given: a stranger's call may be at those before
  std::atomic<const Answers*> answers_ = nullptr;
  std::deque<Post> posts_;
  std::unique_ptr<grpc::Server> server_;
  std::atomic<int> exchanges_ = 0;
  std::deque<Worker> workers_;
  std::vector<std::jthread> threads_;
};

}  // namespace tensorwire::rpc
