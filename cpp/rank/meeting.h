// The rendezvous over TCP: the driver listens, every rank proves with the token that it belongs.
//
// Frames are a little-endian length (u32) and so many bytes. A rank's first frame is a JSON object with its
// rank and the token; after that the first byte of a frame tells what it is: 'G' a blob to gather, 'H' a blob handed
// in. The driver answers a complete round with 'G' and, for each rank, a length and its blob; 'X' and a reason ends the
// run.
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
  /// Throws PeerLost when the driver cannot be reached. It is lost too once it says nothing for `patience`.
  Meeting(const std::string& address, std::uint32_t rank, const std::string& token, Nanoseconds patience);

  /// Throws PeerLost when the driver is gone, turned this rank away or ends the run.
  std::vector<std::string> all_gather(std::string_view blob) override;

  /// Gives the driver a blob that no other rank needs.
  void hand_in(std::string_view blob);

 private:
  void send(char kind, std::string_view body);
  std::string receive();

  Socket socket_;
};

}  // namespace tensorwire
