// HTTP/2 frames (RFC 9113), and gRPC messages in their DATA. Forgets a stream's state with the end of its message.
#pragma once

#include <array>

#include "tap/framing.h"
#include "tap/pieces.h"

namespace tensorwire::tap {

class Http2 final : public Framing {
 public:
  static constexpr std::size_t kStreams = 64;     // that are amid a message at once; with more it gives up
  static constexpr std::size_t kFragment = 4096;  // of a header block is told at once

  Protocol guess(Bytes head) const override;
  void begin(Protocol which) override;
  bool feed(Bytes& bytes, Sink& sink) override;
  bool skip(std::uint64_t& bytes, Sink& sink) override;
  bool resume(Bytes bytes) override;
  std::uint64_t held() const override { return held_; }

 private:
  struct Stream {
    std::uint32_t prefix_bytes;
    bool cut;  // the last piece was the end of its frame
    std::array<std::byte, 5> prefix;
    Pieces pieces;
  };

  Bytes frame_header(Bytes bytes, Sink& sink);
  Bytes payload(Bytes bytes, Sink& sink);
  Bytes lead(Bytes bytes);
  void begin_frame(Sink& sink);
  void end_frame(Sink& sink);
  void fragment(Bytes bytes, Sink& sink);
  void data(Bytes bytes, Sink& sink);
  Bytes prefix(std::size_t at, Bytes bytes, Sink& sink);
  void piece(Stream& stream, const std::byte* at, std::uint64_t size);
  std::uint64_t skip_content(std::uint64_t bytes, Sink& sink);
  void finish(std::size_t at, Sink& sink);
  static void restart(Stream& stream, std::uint32_t id);
  std::size_t find(std::uint32_t id) const;
  std::size_t find_or_add(std::uint32_t id);

  bool lost_ = false;       // it has given up
  bool choosy_ = false;     // bytes were missed: only streams that began since then are followed
  std::uint32_t seen_ = 0;  // bytes of the preface, or of the frame's header
  std::uint32_t preface_left_ = 0;
  std::array<std::byte, 9> head_{};
  bool in_frame_ = false;
  std::uint64_t held_ = 0;
  std::uint32_t overhead_ = 0;  // bytes of the frame that are no content of a message, but for padding
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
