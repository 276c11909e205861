#include "channels/grpc_message.h"

#include <google/protobuf/io/coded_stream.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <bit>
#include <charconv>
#include <climits>
#include <cstring>
#include <limits>
#include <vector>

#include "core/errors.h"

namespace tensorwire::rpc {
namespace {

static_assert(std::endian::native == std::endian::little, "acknowledgements are sent as they lie in memory");

constexpr std::string_view kEcho = "/tensorwire.Wire/Echo";
constexpr std::string_view kAcknowledge = "/tensorwire.Wire/Acknowledge";
constexpr std::string_view kRecorded = "/tensorwire.Wire/Recorded";
constexpr std::string_view kStream = "Stream";

using Traits = grpc::SerializationTraits<proto::Payload>;

/// The size of the message that `payload` becomes, known before memory is spent on it.
std::uint64_t serialized_size(const Payload& payload) {
  std::uint64_t size = 0;
  for (const Bytes buffer : payload.buffers) {
    constexpr std::uint64_t tag = 1;
    size += tag + google::protobuf::io::CodedOutputStream::VarintSize64(buffer.size()) + buffer.size();
  }
  return size;
}

std::string_view path_of_reply(Reply reply) {
  switch (reply) {
    case Reply::echo:
      return kEcho;
    case Reply::acknowledge:
      return kAcknowledge;
    case Reply::recorded:
      break;
  }
  return kRecorded;
}

void refuse_above(std::uint64_t limit, std::uint64_t size, const std::string& what) {
  if (size <= limit) return;
  throw ChannelError("a payload takes " + std::to_string(size) + " B; " + what + " at most " + std::to_string(limit) +
                     " B");
}

void write(const proto::Payload& message, grpc::ByteBuffer& bytes) {
  bool owned = false;
  if (const grpc::Status status = Traits::Serialize(message, &bytes, &owned); !status.ok()) {
    throw ChannelError("a payload was not serialized: " + status.error_message());
  }
}

}  // namespace

std::string path_of(Method method) {
  std::string path(path_of_reply(method.reply));
  if (method.stream) path += kStream;
  return path;
}

std::optional<Method> method_at(std::string_view path) {
  const bool stream = path.ends_with(kStream);
  if (stream) path.remove_suffix(kStream.size());
  if (path == kEcho) return Method{Reply::echo, stream};
  if (path == kAcknowledge) return Method{Reply::acknowledge, stream};
  if (path == kRecorded && !stream) return Method{Reply::recorded, stream};
  return std::nullopt;
}

std::optional<std::uint32_t> answer_in(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata) {
  const auto found = metadata.find(kAnswer);
  if (found == metadata.end()) return std::nullopt;
  std::uint32_t answer = 0;
  const auto [end, error] = std::from_chars(found->second.begin(), found->second.end(), answer);
  if (error != std::errc() || end != found->second.end()) return std::nullopt;
  return answer;
}

grpc::ByteBuffer slices(const Payload& payload) {
  refuse_above(std::numeric_limits<std::uint32_t>::max(), payload.size, "a gRPC message holds");
  std::vector<grpc::Slice> made;
  made.reserve(payload.buffers.size());
  for (const Bytes buffer : payload.buffers) {
    made.emplace_back(buffer.data(), buffer.size(), grpc::Slice::STATIC_SLICE);
  }
  return {made.data(), made.size()};
}

void check_serializable(const Payload& payload) {
  refuse_above(INT_MAX, serialized_size(payload), "protobuf serializes");
}

std::uint64_t size(const proto::Payload& message) {
  std::uint64_t sum = 0;
  for (const std::string& buffer : message.buffers()) sum += buffer.size();
  return sum;
}

Nanoseconds serialize(const Payload& payload, grpc::ByteBuffer& bytes) {
  const SteadyClock clock;
  const Nanoseconds begin = clock.now();
  proto::Payload message;
  message.mutable_buffers()->Reserve(static_cast<int>(payload.buffers.size()));
  for (const Bytes buffer : payload.buffers) message.add_buffers(buffer.data(), buffer.size());
  write(message, bytes);
  return clock.now() - begin;
}

Nanoseconds serialize(const proto::Payload& message, grpc::ByteBuffer& bytes) {
  const SteadyClock clock;
  const Nanoseconds begin = clock.now();
  write(message, bytes);
  return clock.now() - begin;
}

Nanoseconds parse(grpc::ByteBuffer& bytes, proto::Payload& message) {
  const SteadyClock clock;
  const Nanoseconds begin = clock.now();
  message = proto::Payload();
  if (const grpc::Status status = Traits::Deserialize(&bytes, &message); !status.ok()) {
    throw ChannelError("what arrived is not a serialized payload");
  }
  return clock.now() - begin;
}

grpc::ByteBuffer acknowledgement(std::uint64_t received) {
  const grpc::Slice slice(&received, sizeof received);
  return {&slice, 1};
}

std::uint64_t acknowledged(const grpc::ByteBuffer& bytes) {
  grpc::Slice slice;
  std::uint64_t received = 0;
  if (!bytes.TrySingleSlice(&slice).ok() && !bytes.DumpToSingleSlice(&slice).ok()) {
    throw ChannelError("an acknowledgement could not be read");
  }
  if (slice.size() != sizeof received) {
    throw ChannelError("an acknowledgement of " + std::to_string(slice.size()) + " B; it has 8");
  }
  std::memcpy(&received, slice.begin(), sizeof received);
  return received;
}

}  // namespace tensorwire::rpc
