#include "channels/grpc_caller.h"

#include <grpcpp/generic/generic_stub.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>

#include "channels/grpc_message.h"
#include "core/errors.h"

namespace tensorwire::rpc {
namespace {

gpr_timespec deadline_in(Nanoseconds timeout) {
  if (timeout <= 0) return gpr_time_0(GPR_CLOCK_MONOTONIC);
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(timeout, GPR_TIMESPAN));
}

[[noreturn]] void fail(const Peer& peer, const grpc::Status& status) {
  const std::string rank = "rank " + std::to_string(peer.rank);
  const grpc::StatusCode code = status.error_code();
  if (code == grpc::StatusCode::UNAVAILABLE || code == grpc::StatusCode::CANCELLED) {
    throw PeerLost(rank + " went away: " + status.error_message());
  }
  throw ChannelError("a call to " + rank + " failed with gRPC status " + std::to_string(code) + ": " +
                     status.error_message());
}

/// What a slot keeps from one call to the next.
struct SlotState {
  Peer peer;
  std::optional<grpc::GenericStub> stub;
  std::uint32_t index = 0;
  Reply asked = Reply::echo;
  grpc::ByteBuffer reply;
  grpc::Status status;
  proto::Payload parsed;
};

/// What both kinds of caller do: payloads made ready, replies read, one queue that one thread drives.
/// `Slot` is a SlotState, the tag of its operations, and has two functions: `ended(ok)` takes the end of an operation
/// and tells whether the call is complete, `cancel()` hastens the end of all that is under way.
template <class Slot>
class QueueCaller : public Caller {
 public:
  QueueCaller(std::vector<Peer> peers, bool serialized) : serialized_(serialized), slots_(peers.size()) {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      slots_[i].peer = std::move(peers[i]);
      slots_[i].stub.emplace(slots_[i].peer.connection);
      slots_[i].index = static_cast<std::uint32_t>(i);
    }
  }

  ~QueueCaller() override {
    for (Slot& slot : slots_) slot.cancel();
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  void prepare(std::span<const Payload> payloads, std::span<const Payload>) override {
    payloads_ = payloads;
    plain_.clear();
    for (const Payload& payload : payloads) {
      if (serialized_) {
        check_serializable(payload);
      } else {
        plain_.push_back(slices(payload));
      }
    }
  }

  /// Takes what else is ready with the first, without waiting for it.
  std::size_t wait(std::span<Completion> done, Nanoseconds timeout) override {
    gpr_timespec deadline = deadline_in(timeout);
    void* tag = nullptr;
    bool ok = false;
    std::size_t finished = 0;
    while (finished < done.size() && queue_.AsyncNext(&tag, &ok, deadline) == grpc::CompletionQueue::GOT_EVENT) {
      Slot& slot = *static_cast<Slot*>(tag);
      if (!slot.ended(ok)) continue;
      done[finished++] = {slot.index, received(slot)};
      deadline = gpr_time_0(GPR_CLOCK_MONOTONIC);
    }
    return finished;
  }

  void reply(std::uint32_t index, const Sink& sink) override {
    Slot& slot = slots_[index];
    if (serialized_ && slot.asked != Reply::acknowledge) {
      for (const std::string& buffer : slot.parsed.buffers()) sink(std::as_bytes(std::span(buffer)));
      return;
    }
    std::vector<grpc::Slice> pieces;
    if (!slot.reply.Dump(&pieces).ok()) throw ChannelError("a reply could not be read");
    for (const grpc::Slice& piece : pieces) sink(std::as_bytes(std::span(piece.begin(), piece.size())));
  }

  Serialization spent() const override { return spent_; }

 protected:
  /// Calls `send` with the bytes of a payload; gRPC keeps what it needs of them.
  template <class Send>
  void with_bytes(std::uint32_t payload, Send send) {
    if (!serialized_) return send(plain_[payload]);
    grpc::ByteBuffer bytes;
    spent_.serialize += serialize(payloads_[payload], bytes);
    send(bytes);
  }

  /// The payload bytes that a slot's reply stands for.
  std::uint64_t received(Slot& slot) {
    if (slot.asked == Reply::acknowledge) return acknowledged(slot.reply);
    if (!serialized_) return slot.reply.Length();
    spent_.deserialize += parse(slot.reply, slot.parsed);
    return size(slot.parsed);
  }

  const bool serialized_;
  grpc::CompletionQueue queue_;
  std::vector<Slot> slots_;

 private:
  std::vector<grpc::ByteBuffer> plain_;
  std::span<const Payload> payloads_;
  Serialization spent_;
};

struct UnarySlot : SlotState {
  bool ended(bool) const {
    if (!status.ok()) fail(peer, status);
    return true;
  }

  void cancel() {
    if (context) context->TryCancel();
  }

  std::optional<grpc::ClientContext> context;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;  // lies in memory of the context's call
};

class UnaryCaller final : public QueueCaller<UnarySlot> {
 public:
  using QueueCaller::QueueCaller;

  void call(Call call) override {
    UnarySlot& slot = slots_[call.slot];
    slot.asked = call.reply;
    slot.reply.Clear();
    slot.reader.reset();
    slot.context.emplace();
    if (call.reply == Reply::recorded) slot.context->AddMetadata(kAnswer, std::to_string(call.answer));
    with_bytes(call.payload, [&](const grpc::ByteBuffer& bytes) {
      slot.reader = slot.stub->PrepareUnaryCall(&*slot.context, paths_[static_cast<int>(call.reply)], bytes, &queue_);
    });
    slot.reader->StartCall();
    slot.reader->Finish(&slot.reply, &slot.status, &slot);
  }

 private:
  const std::array<std::string, 3> paths_{path_of({Reply::echo, false}), path_of({Reply::acknowledge, false}),
                                          path_of({Reply::recorded, false})};
};

/// An open stream, on which one call at a time is under way: a write and a read.
struct Stream {
  grpc::ClientContext context;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> messages;
};

struct StreamSlot : SlotState {
  /// A broken stream is asked for its status before the call fails: only that says why.
  bool ended(bool ok) {
    if (broken && under_way == 0) fail(peer, status);
    broken |= !ok;
    if (--under_way > 0) return false;
    if (broken) streams[static_cast<std::size_t>(asked)]->messages->Finish(&status, this);
    return !broken;
  }

  void cancel() {
    for (auto& stream : streams) {
      if (stream) stream->context.TryCancel();
    }
  }

  std::array<std::optional<Stream>, 2> streams;  // by the reply that is wanted
  int under_way = 0;                             // operations whose end the queue has not told yet
  bool broken = false;                           // one of them failed
};

class StreamCaller final : public QueueCaller<StreamSlot> {
 public:
  using QueueCaller::QueueCaller;

  void call(Call call) override {
    if (call.reply == Reply::recorded) {
      throw ChannelError("a message of a stream cannot say which recorded reply it wants; use call=unary");
    }
    StreamSlot& slot = slots_[call.slot];
    auto& stream = slot.streams[static_cast<std::size_t>(call.reply)];
    if (!stream) open(slot, call.reply);
    slot.asked = call.reply;
    slot.reply.Clear();
    slot.under_way = 2;
    with_bytes(call.payload, [&](const grpc::ByteBuffer& bytes) { stream->messages->Write(bytes, &slot); });
    stream->messages->Read(&slot.reply, &slot);
  }

 private:
  void open(StreamSlot& slot, Reply reply) {
    Stream& stream = slot.streams[static_cast<std::size_t>(reply)].emplace();
    stream.context.set_initial_metadata_corked(true);  // it travels with the first message
    stream.messages = slot.stub->PrepareCall(&stream.context, path_of({reply, true}), &queue_);
    stream.messages->StartCall(nullptr);
  }
};

}  // namespace

Connections::Connections(const Options& options, std::vector<std::string> addresses, Nanoseconds timeout)
    : options_(options), addresses_(std::move(addresses)), timeout_(timeout), rings_(addresses_.size()) {}

Peer Connections::next(std::uint32_t rank) {
  const std::scoped_lock lock(mutex_);
  Ring& ring = rings_.at(rank);
  if (ring.connections.size() < static_cast<std::size_t>(options_.connections)) {
    ring.connections.push_back(connect(rank));
  }
  return {rank, ring.connections[ring.handed_out++ % static_cast<std::size_t>(options_.connections)]};
}

std::shared_ptr<grpc::Channel> Connections::connect(std::uint32_t rank) const {
  const std::string& address = addresses_[rank];
  if (address.empty()) throw ChannelError("rank " + std::to_string(rank) + " does not serve");
  // With a scheme gRPC takes the address as it is, without its resolver's threads.
  std::string target = address;
  if (!address.starts_with("unix:")) target = (address.starts_with('[') ? "ipv6:" : "ipv4:") + address;
  auto connection = grpc::CreateCustomChannel(target, options_.client_credentials(), options_.client_arguments());
  if (!connection->WaitForConnected(deadline_in(timeout_))) {
    throw PeerLost("rank " + std::to_string(rank) + " does not answer at " + address);
  }
  return connection;
}

std::unique_ptr<Caller> unary_caller(std::vector<Peer> slots, bool serialized) {
  return std::make_unique<UnaryCaller>(std::move(slots), serialized);
}

std::unique_ptr<Caller> stream_caller(std::vector<Peer> slots, bool serialized) {
  return std::make_unique<StreamCaller>(std::move(slots), serialized);
}

}  // namespace tensorwire::rpc
