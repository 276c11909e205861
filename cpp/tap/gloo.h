// What PyTorch's collectives send over gloo's TCP transport: operations with a preamble of 48 bytes, little endian
// (struct Op in gloo/transport/tcp/pair.h).
#pragma once

#include <array>

#include "tap/framing.h"
#include "tap/pieces.h"

namespace tensorwire::tap {

/// Each operation that carries data is a message of one slice. Those that only announce are none.
class Gloo final : public Framing {
 public:
  static constexpr std::size_t kPreamble = 48;

  Protocol guess(Bytes head) const override;
  void begin(Protocol which) override;
  bool feed(Bytes& bytes, Sink& sink) override;
  bool skip(std::uint64_t& bytes, Sink& sink) override;
  bool resume(Bytes bytes) override;
  std::uint64_t held() const override { return seen_ + (pieces_.message.bytes - pieces_.left); }

 private:
  bool begin_operation(Sink& sink);
  void piece(std::uint64_t bytes, Sink& sink);

  bool begun_ = false;      // whether the first preamble has come: a number may stand before it
  std::uint32_t seen_ = 0;  // of the preamble
  std::array<std::byte, kPreamble> head_{};
  Pieces pieces_;
};

}  // namespace tensorwire::tap
