#include "channels/grpc_server.h"

#include <optional>

#include "channels/socket.h"
#include "core/errors.h"

namespace tensorwire::rpc {

void Tally::add(const Served& more) {
  // The only writer needs no locked instruction.
  const auto raise = [](auto& count, auto by) {
    count.store(count.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  };
  raise(calls, more.calls);
  raise(bytes, more.bytes);
  raise(serialize, more.spent.serialize);
  raise(deserialize, more.spent.deserialize);
}

Served Tally::read() const {
  return {calls.load(std::memory_order_relaxed),
          bytes.load(std::memory_order_relaxed),
          {serialize.load(std::memory_order_relaxed), deserialize.load(std::memory_order_relaxed)}};
}

/// Serves one RPC after another. It always has exactly one operation under way, whose tag it is, and deletes
/// itself when the server lets no more calls in. One that takes a call makes the next when none stands ready,
/// so that there are as many as were ever needed at once, and none is made in steady state. Once an operation is
/// started, another thread may be at its end already: nothing of the exchange is touched after that.
class Exchange {
 public:
  Exchange(Server& server, Post& post) : server_(server), post_(post) {
    server_.exchanges_.fetch_add(1);
    await();
  }

  void advance(bool ok, Server::Worker& worker) {
    switch (at_) {
      case At::arrival:
        return ok ? arrive() : retire();
      case At::message:
        if (ok) return answer(worker);
        return method_->stream ? finish({}) : finish({grpc::StatusCode::INVALID_ARGUMENT, "no message"});
      case At::reply:
        return ok ? read() : finish(grpc::Status::CANCELLED);
      case At::end:
        return await();
    }
  }

 private:
  enum class At { arrival, message, reply, end };

  void await() {
    at_ = At::arrival;
    stream_.reset();
    context_.emplace();
    stream_.emplace(&*context_);
    post_.ready.fetch_add(1, std::memory_order_relaxed);
    server_.service_.RequestCall(&*context_, &*stream_, post_.queue.get(), post_.queue.get(), this);
  }

  void arrive() {
    if (post_.ready.fetch_sub(1, std::memory_order_relaxed) == 1) new Exchange(server_, post_);
    method_ = method_at(context_->method());
    if (!method_) return finish({grpc::StatusCode::UNIMPLEMENTED, "no method " + context_->method()});
    read();
  }

  void read() {
    at_ = At::message;
    stream_->Read(&bytes_, this);
  }

  /// Keeps what arrived no longer than the reply needs it, so that its memory serves the next message.
  void answer(Server::Worker& worker) {
    grpc::ByteBuffer arrived;
    arrived.Swap(&bytes_);
    if (method_->reply == Reply::recorded && !find_answer()) {
      return finish({grpc::StatusCode::INVALID_ARGUMENT, "no such answer"});
    }
    if (!server_.serialized_) return answer_plain(arrived, worker.tally);
    try {
      answer_parsed(arrived, worker);
    } catch (const ChannelError& error) {
      finish({grpc::StatusCode::INVALID_ARGUMENT, error.what()});
    }
  }

  bool find_answer() {
    const std::optional<std::uint32_t> wanted = answer_in(context_->client_metadata());
    answers_ = server_.answers_.load(std::memory_order_acquire);
    if (!wanted || answers_ == nullptr || *wanted >= answers_->payloads.size()) return false;
    answer_ = *wanted;
    return true;
  }

  void answer_plain(const grpc::ByteBuffer& arrived, Tally& tally) {
    const std::uint64_t size = arrived.Length();
    tally.add({.calls = 1, .bytes = size, .spent = {}});
    switch (method_->reply) {
      case Reply::echo:
        return send(arrived);
      case Reply::acknowledge:
        return send(acknowledgement(size));
      case Reply::recorded:
        return send(answers_->plain[answer_]);
    }
  }

  void answer_parsed(grpc::ByteBuffer& arrived, Server::Worker& worker) {
    Serialization spent{.serialize = 0, .deserialize = parse(arrived, worker.message)};
    const std::uint64_t received = size(worker.message);
    grpc::ByteBuffer reply;
    switch (method_->reply) {
      case Reply::echo:
        spent.serialize = serialize(worker.message, reply);
        break;
      case Reply::acknowledge:
        reply = acknowledgement(received);
        break;
      case Reply::recorded:
        spent.serialize = serialize(answers_->payloads[answer_], reply);
    }
    worker.tally.add({.calls = 1, .bytes = received, .spent = spent});
    send(reply);
  }

  void send(const grpc::ByteBuffer& reply) {
    if (method_->stream) {
      at_ = At::reply;
      stream_->Write(reply, this);
    } else {
      at_ = At::end;
      stream_->WriteAndFinish(reply, {}, grpc::Status::OK, this);
    }
  }

  void finish(const grpc::Status& status) {
    at_ = At::end;
    stream_->Finish(status, this);
  }

  void retire() {
    Server& server = server_;
    delete this;
    server.exchanges_.fetch_sub(1);
    server.exchanges_.notify_all();
  }

  Server& server_;
  Post& post_;
  At at_ = At::arrival;
  std::optional<Method> method_;
  const Server::Answers* answers_ = nullptr;
  std::uint32_t answer_ = 0;
  grpc::ByteBuffer bytes_;
  std::optional<grpc::GenericServerContext> context_;
  std::optional<grpc::GenericServerAsyncReaderWriter> stream_;
};

Server::Server(const Opening& opening, const Options& options) : serialized_(opening.serialized), spin_(opening.spin) {
  const std::string asked = address_of(opening.host, opening.port, opening.rank);
  listen_at(asked);  // gRPC only says that it failed, and replaces the socket file of another server
  const std::shared_ptr<grpc::ServerCredentials> credentials = options.server_credentials();

  grpc::ServerBuilder builder;
  options.configure(builder);
  builder.RegisterAsyncGenericService(&service_);
  for (int i = 0; i < options.server_queues; ++i) posts_.emplace_back().queue = builder.AddCompletionQueue();
  int port = 0;
  builder.AddListeningPort(asked, credentials, &port);
  server_ = builder.BuildAndStart();
  if (!server_) {
    const std::string pair = options.tls ? " with the certificate " + options.tls->certificate + " and the key " +
                                               options.tls->key + "; do they belong together?"
                                         : "";
    throw ChannelError("gRPC cannot serve at " + asked + pair);
  }
  address_ = asked.starts_with("unix:") ? asked : asked.substr(0, asked.rfind(':') + 1) + std::to_string(port);

  for (Post& post : posts_) new Exchange(*this, post);
  for (int i = 0; i < options.server_threads; ++i) {
    Post& post = posts_[static_cast<std::size_t>(i % options.server_queues)];
    threads_.emplace_back([this, &post, &worker = workers_.emplace_back()] { run(post, worker); });
  }
}

Server::~Server() {
  server_->Shutdown(gpr_time_0(GPR_CLOCK_MONOTONIC));
  // No operation may start on a queue that was shut down: wait until nobody is left who would.
  for (int left = exchanges_.load(); left > 0; left = exchanges_.load()) exchanges_.wait(left);
  for (Post& post : posts_) post.queue->Shutdown();
  threads_.clear();
}

void Server::run(Post& post, Worker& worker) {
  const gpr_timespec until = spin_ ? gpr_time_0(GPR_CLOCK_MONOTONIC) : gpr_inf_future(GPR_CLOCK_MONOTONIC);
  void* tag = nullptr;
  bool ok = false;
  for (;;) {
    switch (post.queue->AsyncNext(&tag, &ok, until)) {
      case grpc::CompletionQueue::GOT_EVENT:
        static_cast<Exchange*>(tag)->advance(ok, worker);
        break;
      case grpc::CompletionQueue::TIMEOUT:
        break;
      case grpc::CompletionQueue::SHUTDOWN:
        return;
    }
  }
}

void Server::answer_with(std::span<const Payload> answers) {
  Answers& given = given_.emplace_back();
  given.payloads = answers;
  for (const Payload& answer : answers) {
    if (serialized_) {
      check_serializable(answer);
    } else {
      given.plain.push_back(slices(answer));
    }
  }
  answers_.store(&given, std::memory_order_release);
}

Served Server::served() const {
  Served sum;
  for (const Worker& worker : workers_) {
    const Served one = worker.tally.read();
    sum.calls += one.calls;
    sum.bytes += one.bytes;
    sum.spent.serialize += one.spent.serialize;
    sum.spent.deserialize += one.spent.deserialize;
  }
  return sum;
}

}  // namespace tensorwire::rpc
