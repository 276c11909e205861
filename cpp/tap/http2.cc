#include "tap/http2.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace tensorwire::tap {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::size_t kFrameHeader = 9;
constexpr std::uint32_t kData = 0, kHeaders = 1, kPriorityFrame = 2, kReset = 3, kSettings = 4, kPushPromise = 5,
                        kPing = 6, kGoAway = 7, kWindowUpdate = 8, kContinuation = 9;
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

/// A header that a program might well begin to send with. Random bytes are one of these once in some ten thousand.
bool plausible(const std::byte* head) {
  const std::uint32_t length = number(head, 3);
  const std::uint32_t type = number(head + 3, 1);
  const std::uint32_t flags = number(head + 4, 1);
  const std::uint32_t id = number(head + 5, 4);
  const bool of_stream = id % 2 == 1 && id < 0x80000000;
  switch (type) {
    case kData:
      return of_stream && (flags & ~(kEndStream | kPadded)) == 0;
    case kHeaders:
      return of_stream && length > 0 && (flags & ~(kEndStream | kEndHeaders | kPadded | kPriority)) == 0;
    case kPriorityFrame:
      return of_stream && flags == 0 && length == 5;
    case kReset:
      return of_stream && flags == 0 && length == 4;
    case kSettings:
      return id == 0 && flags <= 1 && length % 6 == 0 && length <= kLongestSettings;
    case kPing:
      return id == 0 && flags <= 1 && length == 8;
    case kGoAway:
      return id == 0 && flags == 0 && length >= 8;
    case kWindowUpdate:
      return (id == 0 || of_stream) && flags == 0 && length == 4;
    default:
      return false;
  }
}

}  // namespace

/// A client begins with the preface, a server with settings.
Protocol Http2::guess(Bytes head) const {
  const std::size_t size = std::min(head.size(), kPreface.size());
  if (std::memcmp(head.data(), kPreface.data(), size) == 0) {
    return size == kPreface.size() ? Protocol::http2_client : Protocol::unknown;
  }
  if (head.size() < kFrameHeader) return Protocol::unknown;
  const std::uint32_t length = number(head.data(), 3);
  const bool settings = number(head.data() + 3, 1) == kSettings && number(head.data() + 4, 5) == 0;
  return settings && length % 6 == 0 && length <= kLongestSettings ? Protocol::http2_server : Protocol::raw;
}

void Http2::begin(Protocol which) {
  lost_ = choosy_ = in_frame_ = false;
  seen_ = fragment_bytes_ = 0;
  held_ = 0;
  preface_left_ = which == Protocol::http2_client ? kPreface.size() : 0;
  ids_.fill(0);
}

bool Http2::feed(Bytes& bytes, Sink& sink) {
  while (!bytes.empty() && !lost_) {
    if (preface_left_ > 0) {
      const std::size_t take = std::min<std::size_t>(bytes.size(), preface_left_);
      preface_left_ -= static_cast<std::uint32_t>(take);
      bytes = bytes.subspan(take);
    } else {
      const std::size_t before = bytes.size();
      bytes = in_frame_ ? payload(bytes, sink) : frame_header(bytes, sink);
      held_ += before - bytes.size();
    }
  }
  return !lost_;
}

bool Http2::skip(std::uint64_t& bytes, Sink& sink) {
  while (bytes > 0 && !lost_) {
    const bool needed = !in_frame_ || lead_left_ > 0 || (carries_block(type_) && content_left_ > padding_left_);
    if (needed) {
      lost_ = true;
    } else {
      bytes = skip_content(bytes, sink);
    }
  }
  return !lost_;
}

/// Of the frame's content; tells how many bytes are still to be skipped.
std::uint64_t Http2::skip_content(std::uint64_t bytes, Sink& sink) {
  const bool content = content_left_ > padding_left_;
  std::uint64_t take = std::min<std::uint64_t>(bytes, content ? content_left_ - padding_left_ : content_left_);
  const std::size_t at = find(id_);
  if (content && type_ == kData) {
    if (at == kStreams ? !choosy_ : streams_[at].prefix_bytes < streams_[at].prefix.size()) {
      lost_ = true;
      return bytes;
    }
    if (at != kStreams) {
      take = std::min(take, streams_[at].pieces.left);
      piece(streams_[at], nullptr, take);
      if (streams_[at].pieces.left == 0) finish(at, sink);
    }
  }
  content_left_ -= static_cast<std::uint32_t>(take);
  held_ += take;
  if (content && type_ == kData && at == kStreams) held_ -= take;
  if (content_left_ == 0) end_frame(sink);
  return bytes - take;
}

bool Http2::resume(Bytes bytes) {
  if (bytes.size() < kFrameHeader || !plausible(bytes.data())) return false;
  begin(Protocol::unknown);
  choosy_ = true;
  return true;
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
  if (length < lead_left_ || type_ == kPushPromise || streamless) {
    lost_ = true;
    return;
  }
  content_left_ = length - lead_left_;
  overhead_ = kFrameHeader + (type_ == kData ? lead_left_ : length);
  if (choosy_ && type_ == kHeaders && (flags_ & kEndStream) == 0 && find(0) != kStreams) find_or_add(id_);
  if (length == 0) end_frame(sink);
}

Http2::Bytes Http2::payload(Bytes bytes, Sink& sink) {
  if (lead_left_ > 0) {
    bytes = lead(bytes);
    lost_ = padding_left_ > content_left_;
  } else {
    const bool content = content_left_ > padding_left_;
    const std::size_t take =
        std::min<std::size_t>(bytes.size(), content ? content_left_ - padding_left_ : content_left_);
    if (content && type_ == kData) data(bytes.first(take), sink);
    if (content && carries_block(type_)) fragment(bytes.first(take), sink);
    content_left_ -= static_cast<std::uint32_t>(take);
    bytes = bytes.subspan(take);
  }
  if (lead_left_ == 0 && content_left_ == 0 && !lost_) end_frame(sink);
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
  held_ -= overhead_ + (type_ == kData ? padding_left_ : 0);
  if (carries_block(type_)) {
    sink.headers(id_, flags_ & (kEndStream | kEndHeaders), Bytes(fragment_).first(fragment_bytes_));
    fragment_bytes_ = 0;
  }
  if (id_ == 0 || (type_ != kData && type_ != kHeaders && type_ != kReset)) return;
  const std::size_t at = find(id_);
  if (at == kStreams) return;
  streams_[at].cut = true;
  if (type_ == kReset || (flags_ & kEndStream) != 0) {
    held_ -= streams_[at].prefix_bytes + (streams_[at].pieces.message.bytes - streams_[at].pieces.left);
    ids_[at] = 0;
  }
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
  if (choosy_ && find(id_) == kStreams) {
    held_ -= bytes.size();
    return;
  }
  while (!bytes.empty()) {
    const std::size_t at = find_or_add(id_);
    if (at == kStreams) {
      lost_ = true;
      return;
    }
    Stream& stream = streams_[at];
    if (stream.prefix_bytes < stream.prefix.size()) {
      bytes = prefix(at, bytes, sink);
      if (lost_) return;
      continue;
    }
    const std::size_t take = std::min<std::uint64_t>(bytes.size(), stream.pieces.left);
    piece(stream, bytes.data(), take);
    bytes = bytes.subspan(take);
    if (stream.pieces.left == 0) finish(at, sink);
  }
}

Http2::Bytes Http2::prefix(std::size_t at, Bytes bytes, Sink& sink) {
  Stream& stream = streams_[at];
  const std::size_t take = std::min(bytes.size(), stream.prefix.size() - stream.prefix_bytes);
  std::memcpy(stream.prefix.data() + stream.prefix_bytes, bytes.data(), take);
  stream.prefix_bytes += static_cast<std::uint32_t>(take);
  const std::uint32_t compressed = number(stream.prefix.data(), 1);
  if (compressed > 1) {  // not gRPC
    lost_ = true;
  } else if (stream.prefix_bytes == stream.prefix.size()) {
    stream.pieces.announce(number(stream.prefix.data() + 1, 4));
    stream.pieces.message.flags = compressed != 0 ? kCompressed : 0;
    if (stream.pieces.left == 0) finish(at, sink);
  }
  return bytes.subspan(take);
}

/// Two pieces are of one slice when they touch in memory, or when a frame ended between them and one is so short
/// that gRPC would have copied it: that a slice ends just where a frame is full is far less likely.
void Http2::piece(Stream& stream, const std::byte* at, std::uint64_t size) {
  Pieces& pieces = stream.pieces;
  const bool touches = pieces.touches(at);
  const bool copied = stream.cut && std::min(pieces.last_piece, size) <= kInlined;
  const std::uint64_t before = touches && !stream.cut ? pieces.last_piece : 0;  // that a partial send split is one
  pieces.add(at, size, touches || copied);
  pieces.last_piece = before + size;
  stream.cut = false;
}

void Http2::finish(std::size_t at, Sink& sink) {
  Stream& stream = streams_[at];
  sink.message(stream.pieces.message, stream.pieces.all());
  held_ -= stream.prefix.size() + stream.pieces.message.bytes;
  if (choosy_) {
    restart(stream, ids_[at]);
  } else {
    ids_[at] = 0;
  }
}

void Http2::restart(Stream& stream, std::uint32_t id) {
  stream.prefix_bytes = 0;
  stream.cut = false;
  stream.pieces.begin(id);
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
  restart(streams_[at], id);
  return at;
}

}  // namespace tensorwire::tap
