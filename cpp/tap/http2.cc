#include "tap/http2.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace tensorwire::tap {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::size_t kFrameHeader = 9;
constexpr std::uint32_t kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPushPromise = 5, kContinuation = 9;
constexpr std::uint32_t kEndStream = 0x1, kEndHeaders = 0x4, kPadded = 0x8, kPriority = 0x20;
constexpr std::uint32_t kLongestSettings = 16384;
// gRPC copies what a frame's end leaves of a slice into the slice itself when it fits there.
constexpr std::uint64_t kInlined = 23;

std::uint32_t number(const std::byte* at, std::size_t bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | static_cast<std::uint32_t>(at[i]);
  return value;
}

bool carries_block(std::uint32_t type) { return type == kHeaders || type == kContinuation; }

}  // namespace

void Http2::reset() {
  protocol_ = Protocol::unknown;
  seen_ = 0;
  in_frame_ = false;
  fragment_bytes_ = 0;
  ids_.fill(0);
}

void Http2::feed(Bytes bytes, Sink& sink) {
  while (!bytes.empty() && protocol_ != Protocol::raw) {
    if (protocol_ == Protocol::unknown) {
      bytes = detect(bytes, sink);
    } else {
      bytes = in_frame_ ? payload(bytes, sink) : frame_header(bytes, sink);
    }
  }
}

void Http2::raw(Sink& sink) {
  protocol_ = Protocol::raw;
  sink.protocol(protocol_);
}

Http2::Bytes Http2::detect(Bytes bytes, Sink& sink) {
  head_[seen_++] = bytes[0];
  if (static_cast<char>(head_[0]) == kPreface[0]) {
    if (static_cast<char>(bytes[0]) != kPreface[seen_ - 1]) {
      raw(sink);
    } else if (seen_ == kPreface.size()) {
      protocol_ = Protocol::http2_client;
      seen_ = 0;
      sink.protocol(protocol_);
    }
  } else if (seen_ == kFrameHeader) {
    const std::uint32_t length = number(head_.data(), 3);
    const bool settings = number(head_.data() + 3, 1) == kSettings && number(head_.data() + 4, 5) == 0;
    if (!settings || length % 6 != 0 || length > kLongestSettings) {
      raw(sink);
    } else {
      protocol_ = Protocol::http2_server;
      sink.protocol(protocol_);
      begin_frame(sink);
    }
  }
  return bytes.subspan(1);
}

Http2::Bytes Http2::frame_header(Bytes bytes, Sink& sink) {
  const std::size_t take = std::min(bytes.size(), kFrameHeader - seen_);
  std::memcpy(head_.data() + seen_, bytes.data(), take);
  seen_ += static_cast<std::uint32_t>(take);
  if (seen_ == kFrameHeader) begin_frame(sink);
  return bytes.subspan(take);
}

void Http2::begin_frame(Sink& sink) {
  seen_ = 0;
  in_frame_ = true;
  const std::uint32_t length = number(head_.data(), 3);
  type_ = number(head_.data() + 3, 1);
  flags_ = number(head_.data() + 4, 1);
  id_ = number(head_.data() + 5, 4) & 0x7fffffff;
  lead_left_ = 0;
  padding_left_ = 0;
  pad_length_due_ = (type_ == kData || type_ == kHeaders) && (flags_ & kPadded) != 0;
  if (pad_length_due_) lead_left_ += 1;
  if (type_ == kHeaders && (flags_ & kPriority) != 0) lead_left_ += 5;
  const bool streamless = id_ == 0 && (type_ == kData || carries_block(type_));
  if (length < lead_left_ || type_ == kPushPromise || streamless) return raw(sink);
  content_left_ = length - lead_left_;
  if (length == 0) end_frame(sink);
}

Http2::Bytes Http2::payload(Bytes bytes, Sink& sink) {
  if (lead_left_ > 0) {
    bytes = lead(bytes);
    if (padding_left_ > content_left_) {
      raw(sink);
      return bytes;
    }
  } else {
    const bool content = content_left_ > padding_left_;
    const std::size_t take =
        std::min<std::size_t>(bytes.size(), content ? content_left_ - padding_left_ : content_left_);
    if (content && type_ == kData) data(bytes.first(take), sink);
    if (content && carries_block(type_)) fragment(bytes.first(take), sink);
    content_left_ -= static_cast<std::uint32_t>(take);
    bytes = bytes.subspan(take);
  }
  if (lead_left_ == 0 && content_left_ == 0 && protocol_ != Protocol::raw) end_frame(sink);
  return bytes;
}

Http2::Bytes Http2::lead(Bytes bytes) {
  if (pad_length_due_) {
    padding_left_ = static_cast<std::uint32_t>(bytes[0]);
    pad_length_due_ = false;
  }
  --lead_left_;
  return bytes.subspan(1);
}

void Http2::end_frame(Sink& sink) {
  in_frame_ = false;
  if (carries_block(type_)) {
    sink.headers(id_, flags_ & (kEndStream | kEndHeaders), Bytes(fragment_).first(fragment_bytes_));
    fragment_bytes_ = 0;
  }
  if (type_ != kData && type_ != kHeaders && type_ != kReset) return;
  const std::size_t at = find(id_);
  if (at == kStreams) return;
  streams_[at].cut = true;
  if (type_ == kReset || (flags_ & kEndStream) != 0) ids_[at] = 0;
}

void Http2::fragment(Bytes bytes, Sink& sink) {
  while (!bytes.empty()) {
    if (fragment_bytes_ == kFragment) {
      sink.headers(id_, 0, fragment_);
      fragment_bytes_ = 0;
    }
    const std::size_t take = std::min(bytes.size(), kFragment - fragment_bytes_);
    std::memcpy(fragment_.data() + fragment_bytes_, bytes.data(), take);
    fragment_bytes_ += static_cast<std::uint32_t>(take);
    bytes = bytes.subspan(take);
  }
}

void Http2::data(Bytes bytes, Sink& sink) {
  while (!bytes.empty()) {
    const std::size_t at = find_or_add(id_);
    if (at == kStreams) return raw(sink);
    Stream& stream = streams_[at];
    if (stream.prefix_bytes < stream.prefix.size()) {
      bytes = prefix(at, bytes, sink);
      if (protocol_ == Protocol::raw) return;
      continue;
    }
    const std::size_t take = std::min<std::uint64_t>(bytes.size(), stream.left);
    piece(stream, bytes.first(take));
    bytes = bytes.subspan(take);
    if (stream.left == 0) finish(at, sink);
  }
}

Http2::Bytes Http2::prefix(std::size_t at, Bytes bytes, Sink& sink) {
  Stream& stream = streams_[at];
  const std::size_t take = std::min(bytes.size(), stream.prefix.size() - stream.prefix_bytes);
  std::memcpy(stream.prefix.data() + stream.prefix_bytes, bytes.data(), take);
  stream.prefix_bytes += static_cast<std::uint32_t>(take);
  const std::uint32_t compressed = number(stream.prefix.data(), 1);
  if (compressed > 1) {  // not gRPC
    raw(sink);
  } else if (stream.prefix_bytes == stream.prefix.size()) {
    stream.left = number(stream.prefix.data() + 1, 4);
    stream.message.flags = compressed != 0 ? kCompressed : 0;
    stream.message.bytes = stream.left;
    if (stream.left == 0) finish(at, sink);
  }
  return bytes.subspan(take);
}

/// Two pieces are of one slice when they touch in memory, or when a frame ended between them and one is so short
/// that gRPC would have copied it: that a slice ends just where a frame is full is far less likely.
void Http2::piece(Stream& stream, Bytes bytes) {
  const bool copied = stream.cut && std::min<std::uint64_t>(stream.last_piece, bytes.size()) <= kInlined;
  const bool goes_on = stream.message.slices > 0 && (stream.end == bytes.data() || copied);
  if (!goes_on && stream.message.slices == kSlices) stream.message.flags |= kSlicesCut;
  if (goes_on || stream.message.slices == kSlices) {
    stream.slices[stream.message.slices - 1] += bytes.size();
  } else {
    stream.slices[stream.message.slices++] = bytes.size();
  }
  // A piece that a partial send split is one piece.
  stream.last_piece = stream.end == bytes.data() && !stream.cut ? stream.last_piece + bytes.size() : bytes.size();
  stream.end = bytes.data() + bytes.size();
  stream.cut = false;
  stream.left -= bytes.size();
}

void Http2::finish(std::size_t at, Sink& sink) {
  const Stream& stream = streams_[at];
  sink.message(stream.message, std::span(stream.slices).first(stream.message.slices));
  ids_[at] = 0;
}

std::size_t Http2::find(std::uint32_t id) const {
  return static_cast<std::size_t>(std::find(ids_.begin(), ids_.end(), id) - ids_.begin());
}

/// kStreams without room.
std::size_t Http2::find_or_add(std::uint32_t id) {
  if (const std::size_t known = find(id); known != kStreams) return known;
  const std::size_t at = find(0);
  if (at == kStreams) return at;
  ids_[at] = id;
  Stream& stream = streams_[at];
  stream.prefix_bytes = 0;
  stream.left = 0;
  stream.message = {.stream = id, .flags = 0, .bytes = 0, .slices = 0, .pad = 0};
  stream.end = nullptr;
  stream.last_piece = 0;
  stream.cut = false;
  return at;
}

}  // namespace tensorwire::tap
