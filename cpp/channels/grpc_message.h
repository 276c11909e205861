// What travels: the paths that say which reply is wanted, and payloads as gRPC's bytes, with or without protobuf.
#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/string_ref.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/channel.h"
#include "payload.pb.h"

namespace tensorwire::rpc {

/// What the path of a call asks for.
struct Method {
  Reply reply;
  bool stream;
};

std::string path_of(Method method);
std::optional<Method> method_at(std::string_view path);

/// The metadata in which a call says which answer it wants: neither its message nor its path depends on that.
constexpr const char* kAnswer = "answer";

/// The answer that a call's metadata names; nothing for what names none.
std::optional<std::uint32_t> answer_in(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata);

/// One static slice for each buffer, over the payload's own memory. Throws ChannelError above gRPC's 4 GiB.
grpc::ByteBuffer slices(const Payload& payload);

/// Throws ChannelError when the payload's message would be above protobuf's 2 GiB.
void check_serializable(const Payload& payload);

std::uint64_t size(const proto::Payload& message);

/// Puts the buffers in a message, as a program must whose tensors changed since its last call, and serializes that.
/// Returns the time it took. `bytes` must be empty.
Nanoseconds serialize(const Payload& payload, grpc::ByteBuffer& bytes);
Nanoseconds serialize(const proto::Payload& message, grpc::ByteBuffer& bytes);

/// Parses into a new message, as gRPC's generated services do. Empties `bytes`; returns the time it took.
/// Throws ChannelError when they are not a message.
Nanoseconds parse(grpc::ByteBuffer& bytes, proto::Payload& message);

/// The acknowledgement: the count of payload bytes that arrived, 8 bytes, little endian.
grpc::ByteBuffer acknowledgement(std::uint64_t received);
std::uint64_t acknowledged(const grpc::ByteBuffer& bytes);

}  // namespace tensorwire::rpc
