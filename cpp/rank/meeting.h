// The rendezvous over a stream socket: the driver listens, every rank proves that it knows the token.
//
// Frames are a little-endian length (u32) and so many bytes, of which the first tells what it is. The driver begins
// with 'C' and a challenge, never the same twice. A rank answers with a JSON object: its rank, and as a proof the
// HMAC-SHA256 under the token of the challenge and the rank's decimal digits, and is let in with 'W'. After that 'G' is
// a blob to gather, 'H' a blob handed in. The driver answers a complete round with 'G' and, for each rank, a length and
// its blob; 'X' and a reason ends the run.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "channels/socket.h"
#include "core/clock.h"
#include "core/rendezvous.h"

namespace tensorwire {

class Meeting final : public Rendezvous {
 public:
  /// Throws PeerLost when the driver cannot be reached, or turns this rank away. It is lost too once it says nothing
  /// for `patience`.
  Meeting(const std::string& address, std::uint32_t rank, const std::string& token, Nanoseconds patience);

  /// Throws PeerLost when the driver is gone or ends the run.
  std::vector<std::string> all_gather(std::string_view blob) override;

  /// Gives the driver a blob that no other rank needs.
  void hand_in(std::string_view blob);

 private:
  void send(char kind, std::string_view body);
  std::string receive(char kind = 'G');

  Socket socket_;
};

}  // namespace tensorwire
