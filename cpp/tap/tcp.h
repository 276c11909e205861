// What tensorwire's own channel `tcp` sends: a header in front of each message (cpp/channels/tcp_wire.h).
#pragma once

#include <array>

#include "channels/tcp_wire.h"
#include "tap/framing.h"
#include "tap/pieces.h"

namespace tensorwire::tap {

/// The layout, by which a connection begins, is no message. Messages are numbered, from 1: a reply has the number of
/// its request. Buffers that touch in memory are one slice.
class Tcp final : public Framing {
 public:
  Protocol guess(Bytes head) const override;
  void begin(Protocol which) override;
  bool feed(Bytes& bytes, Sink& sink) override;
  bool skip(std::uint64_t& bytes, Sink& sink) override;
  bool resume(Bytes bytes) override;
  std::uint64_t held() const override;

 private:
  bool begin_message(Sink& sink);
  void piece(const std::byte* at, std::uint64_t bytes, Sink& sink);

  bool asks_ = false;
  bool counts_ = true;        // false once bytes were missed: messages have no numbers then
  std::uint32_t number_ = 0;  // 0: the layout
  std::uint32_t seen_ = 0;    // of the header
  std::array<std::byte, sizeof(tcp::Header)> head_{};
  Pieces pieces_;
};

}  // namespace tensorwire::tap
