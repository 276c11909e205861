// The least that can be written with gRPC's generic asynchronous API: one completion queue and one thread at each end,
// static slices over the payload's memory, the channel arguments that tensorwire sets.
#include <absl/synchronization/mutex.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <climits>
#include <deque>
#include <memory>
#include <optional>
#include <thread>

#include "both_ends.h"

namespace {

constexpr int kFrame = 1 << 20;

/// Takes one call after another; the tag of its only operation under way.
class Exchange {
 public:
  Exchange(grpc::AsyncGenericService& service, grpc::ServerCompletionQueue& queue, bool echo)
      : service_(service), queue_(queue), echo_(echo) {
    await();
  }

  void advance(bool ok) {
    switch (next_) {
      case Next::read:
        if (!ok) return;  // the server ends
        next_ = Next::answer;
        return stream_->Read(&bytes_, this);
      case Next::answer:
        next_ = Next::await;
        if (!ok) return stream_->Finish(grpc::Status::CANCELLED, this);
        return answer();
      case Next::await:
        return await();
    }
  }

 private:
  enum class Next { read, answer, await };

  void await() {
    next_ = Next::read;
    stream_.reset();
    context_.emplace();
    stream_.emplace(&*context_);
    service_.RequestCall(&*context_, &*stream_, &queue_, &queue_, this);
  }

  void answer() {
    if (echo_) {
      stream_->WriteAndFinish(bytes_, {}, grpc::Status::OK, this);
    } else {
      const std::uint64_t arrived = bytes_.Length();
      const grpc::Slice slice(&arrived, sizeof arrived);
      stream_->WriteAndFinish(grpc::ByteBuffer(&slice, 1), {}, grpc::Status::OK, this);
    }
    bytes_.Clear();
  }

  grpc::AsyncGenericService& service_;
  grpc::ServerCompletionQueue& queue_;
  const bool echo_;
  Next next_ = Next::read;
  grpc::ByteBuffer bytes_;
  std::optional<grpc::GenericServerContext> context_;
  std::optional<grpc::GenericServerAsyncReaderWriter> stream_;
};

void serve(const Request& request, Control control) {
  grpc::AsyncGenericService service;
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(-1);
  builder.SetMaxSendMessageSize(-1);
  builder.SetDefaultCompressionAlgorithm(GRPC_COMPRESS_NONE);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, kFrame);
  builder.AddChannelArgument(GRPC_ARG_TCP_TX_ZEROCOPY_ENABLED, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 1);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.RegisterAsyncGenericService(&service);
  const std::unique_ptr<grpc::ServerCompletionQueue> queue = builder.AddCompletionQueue();
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!server) die("cannot listen");

  std::deque<Exchange> exchanges;
  for (unsigned i = 0; i < request.outstanding; ++i) exchanges.emplace_back(service, *queue, request.echo);
  std::thread([&queue] {
    void* tag = nullptr;
    bool ok = false;
    while (queue->Next(&tag, &ok)) static_cast<Exchange*>(tag)->advance(ok);
  }).detach();
  control.tell(port);
  control.answer();
  _exit(0);  // the caller is gone; nothing here is worth an orderly end
}

std::shared_ptr<grpc::Channel> connect_to(int port) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetCompressionAlgorithm(GRPC_COMPRESS_NONE);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, kFrame);
  arguments.SetInt(GRPC_ARG_TCP_TX_ZEROCOPY_ENABLED, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, INT_MAX);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  auto channel = grpc::CreateCustomChannel("ipv4:127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials(),
                                           arguments);
  if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10))) die("cannot connect");
  return channel;
}

class Caller {
 public:
  Caller(const Request& request, int port)
      : echo_(request.echo), memory_(request.sizes), stub_(connect_to(port)), slots_(request.outstanding) {
    std::vector<grpc::Slice> slices;
    for (const iovec& buffer : memory_.buffers) {
      slices.emplace_back(buffer.iov_base, buffer.iov_len, grpc::Slice::STATIC_SLICE);
    }
    payload_ = grpc::ByteBuffer(slices.data(), slices.size());
  }

  void start(unsigned index) {
    Slot& slot = slots_[index];
    slot.reply.Clear();
    slot.reader.reset();
    slot.context.emplace();
    slot.reader = stub_.PrepareUnaryCall(&*slot.context, path_, payload_, &queue_);
    slot.reader->StartCall();
    slot.reader->Finish(&slot.reply, &slot.status, &slot);
  }

  unsigned finished() {
    void* tag = nullptr;
    bool ok = false;
    queue_.Next(&tag, &ok);
    Slot& slot = *static_cast<Slot*>(tag);
    if (!slot.status.ok()) die(slot.status.error_message());
    if (arrived(slot.reply) != memory_.total) die("bytes were lost");
    return static_cast<unsigned>(&slot - slots_.data());
  }

 private:
  struct Slot {
    std::optional<grpc::ClientContext> context;
    std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;  // lies in memory of the context's call
    grpc::ByteBuffer reply;
    grpc::Status status;
  };

  std::uint64_t arrived(const grpc::ByteBuffer& reply) const {
    if (echo_) return reply.Length();
    grpc::Slice slice;
    std::uint64_t said = 0;
    if (!reply.DumpToSingleSlice(&slice).ok() || slice.size() != sizeof said) die("not an acknowledgement");
    std::memcpy(&said, slice.begin(), sizeof said);
    return said;
  }

  const bool echo_;
  const Memory memory_;
  const std::string path_ = "/raw.Wire/Call";
  grpc::GenericStub stub_;
  grpc::CompletionQueue queue_;
  std::vector<Slot> slots_;
  grpc::ByteBuffer payload_;
};

}  // namespace

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);  // as tensorwire's rank has it
  return run<Caller>(argc, argv, serve);
}
