// What TLS shows to everybody (RFC 8446, section 5): records, and how long they are. What is in them cannot be seen.
#pragma once

#include <array>

#include "tap/framing.h"
#include "tap/pieces.h"

namespace tensorwire::tap {

/// Each record of application data is a message of one slice: its encrypted content.
class Tls final : public Framing {
 public:
  Protocol guess(Bytes head) const override;
  void begin(Protocol which) override;
  bool feed(Bytes& bytes, Sink& sink) override;
  bool skip(std::uint64_t& bytes, Sink& sink) override;
  bool resume(Bytes bytes) override;
  std::uint64_t held() const override { return seen_ + (pieces_.message.bytes - pieces_.left); }

 private:
  static constexpr std::size_t kHeader = 5;

  bool begin_record(Sink& sink);
  void piece(std::uint64_t bytes, Sink& sink);

  std::uint32_t seen_ = 0;  // of the header
  std::array<std::byte, kHeader> head_{};
  Pieces pieces_;
};

}  // namespace tensorwire::tap
