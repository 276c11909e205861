// The plain connection beside UCX's: over it a caller and a server agree on what will come, and by its end each knows
// that the other is gone, which UCX itself would not notice over shared memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "channels/socket.h"
#include "core/clock.h"

namespace tensorwire::ucx {

/// What is said. Each of a caller's words is answered with the one below it, or with `refused` and a reason.
enum class Word : std::uint32_t {
  hello = 0x7477'1001,  // the address of the caller's worker
  welcome,              // u64: the number of the connection
  layout,               // see Layout
  ready,
  route,  // how UCX reaches the server, as the caller sees it
  noted,
  bye,
  closed,
  refused,  // a reason
};

struct Frame {
  Word word;
  std::string body;
};

/// The payloads that will come over a connection, and how many at a time.
struct Layout {
  std::uint64_t lane = 0;  // what replies are to be labelled with
  std::uint64_t places = 0;
  std::vector<std::vector<std::uint64_t>> sizes;  // of the buffers of each payload

  std::string body() const;
  /// Nothing for what is no layout.
  static std::optional<Layout> read(std::string_view body);
};

std::string number_body(std::uint64_t number);
std::optional<std::uint64_t> read_number(std::string_view body);

class Control {
 public:
  explicit Control(Socket socket);

  int fd() const { return socket_.fd(); }
  void shut_down() const { socket_.shut_down(); }

  /// Throws PeerLost.
  void say(Word word, std::string_view body = {});

  /// The next frame that is there, without waiting. Throws PeerLost when the peer is gone, or does not talk like one
  /// of us.
  std::optional<Frame> heard();

  /// Waits for the next frame. Throws PeerLost, also when none comes for so long.
  Frame hear(Nanoseconds timeout);

  /// Whether the connection has ended, as far as can be seen without waiting.
  bool ended() const;

 private:
  std::optional<Frame> complete();

  Socket socket_;
  std::string received_;
};

}  // namespace tensorwire::ucx
