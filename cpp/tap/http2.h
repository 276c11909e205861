// Follows the bytes that one end of a connection sends: HTTP/2 frames (RFC 9113), and gRPC messages in their DATA.
// Pure: it reads no clock, allocates nothing, and forgets a stream's state with the end of its message.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "tap/log_format.h"

namespace tensorwire::tap {

/// Told what was found, in the order of the bytes.
class Sink {
 public:
  virtual void protocol(Protocol which) = 0;
  virtual void headers(std::uint32_t stream, std::uint32_t flags, std::span<const std::byte> fragment) = 0;
  virtual void message(const Message& message, std::span<const std::uint64_t> slices) = 0;

 protected:
  ~Sink() = default;
};

class Http2 {
 public:
  static constexpr std::size_t kStreams = 64;     // that are amid a message at once; with more the connection is raw
  static constexpr std::size_t kSlices = 4096;    // that are kept of a message
  static constexpr std::size_t kFragment = 4096;  // of a header block is told at once

  /// As if nothing had been sent.
  void reset();

  /// Gives up: what began cannot be followed further.
  void give_up() { protocol_ = Protocol::raw; }

  Protocol protocol() const { return protocol_; }
  bool begun() const { return protocol_ != Protocol::unknown || seen_ > 0; }

  /// The next bytes of the connection, where they lie: pieces of a message that touch in memory are one slice.
  void feed(std::span<const std::byte> bytes, Sink& sink);

 private:
  struct Stream {
    std::uint32_t prefix_bytes;
    std::uint64_t left;
    Message message;
    const std::byte* end;      // of the last piece
    std::uint64_t last_piece;  // its bytes
    bool cut;                  // the last piece was the end of its frame
    std::array<std::byte, 5> prefix;
    std::array<std::uint64_t, kSlices> slices;
  };
  using Bytes = std::span<const std::byte>;

  Bytes detect(Bytes bytes, Sink& sink);
  Bytes frame_header(Bytes bytes, Sink& sink);
  Bytes payload(Bytes bytes, Sink& sink);
  Bytes lead(Bytes bytes);
  void begin_frame(Sink& sink);
  void end_frame(Sink& sink);
  void fragment(Bytes bytes, Sink& sink);
  void data(Bytes bytes, Sink& sink);
  Bytes prefix(std::size_t at, Bytes bytes, Sink& sink);
  void piece(Stream& stream, Bytes bytes);
  void finish(std::size_t at, Sink& sink);
  void raw(Sink& sink);
  std::size_t find(std::uint32_t id) const;
  std::size_t find_or_add(std::uint32_t id);

  Protocol protocol_ = Protocol::unknown;
  std::uint32_t seen_ = 0;  // bytes of the preface, or of the frame's header
  std::array<std::byte, 24> head_{};
  bool in_frame_ = false;
  std::uint32_t type_ = 0;
  std::uint32_t flags_ = 0;
  std::uint32_t id_ = 0;
  std::uint32_t lead_left_ = 0;  // pad length and priority, before the content
  std::uint32_t content_left_ = 0;
  std::uint32_t padding_left_ = 0;
  bool pad_length_due_ = false;
  std::uint32_t fragment_bytes_ = 0;
  std::array<std::byte, kFragment> fragment_{};
  std::array<std::uint32_t, kStreams> ids_{};  // 0: free; apart from the streams, which are far apart in memory
  std::array<Stream, kStreams> streams_;       // not initialized: what is never used takes no memory
};

}  // namespace tensorwire::tap
