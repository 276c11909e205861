#include "rank/meeting.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/errors.h"
#include "rank/proof.h"

namespace tensorwire {
namespace {

constexpr Nanoseconds kConnectWithin = 20_s;
constexpr std::uint32_t kLargestFrame = 1u << 30;

void send_all(const Socket& socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(socket.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw PeerLost("the driver is gone: " + error_text(errno));
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

void receive_all(const Socket& socket, char* into, std::size_t size) {
  while (size > 0) {
    const ssize_t n = recv(socket.fd(), into, size, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) throw PeerLost("the driver closed the rendezvous");
    if (n < 0) throw PeerLost("the driver does not answer: " + error_text(errno));
    into += n;
    size -= static_cast<std::size_t>(n);
  }
}

PeerLost no_frame() { return PeerLost("the driver sent something that is not a frame"); }

std::string length_of(std::size_t size) {
  const auto length = static_cast<std::uint32_t>(size);
  return {reinterpret_cast<const char*>(&length), sizeof length};
}

std::uint32_t read_length(const char* from) {
  std::uint32_t length = 0;
  std::memcpy(&length, from, sizeof length);
  return length;
}

}  // namespace

Meeting::Meeting(const std::string& address, std::uint32_t rank, const std::string& token, Nanoseconds patience)
    : socket_(connect_to(address, kConnectWithin)) {
  const timeval limit{.tv_sec = patience / 1_s, .tv_usec = patience % 1_s / 1000};
  setsockopt(socket_.fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  const std::string proof = hmac_sha256(token, receive('C') + std::to_string(rank));
  const std::string hello = nlohmann::json{{"rank", rank}, {"proof", proof}}.dump();
  send_all(socket_, length_of(hello.size()) + hello);
  receive('W');
}

std::vector<std::string> Meeting::all_gather(std::string_view blob) {
  send('G', blob);
  const std::string body = receive();
  std::vector<std::string> blobs;
  for (std::string_view left = body; !left.empty();) {
    if (left.size() < sizeof(std::uint32_t)) throw no_frame();
    const std::uint32_t length = read_length(left.data());
    left.remove_prefix(sizeof length);
    if (length > left.size()) throw no_frame();
    blobs.emplace_back(left.substr(0, length));
    left.remove_prefix(length);
  }
  return blobs;
}

void Meeting::hand_in(std::string_view blob) { send('H', blob); }

void Meeting::send(char kind, std::string_view body) {
  std::string frame = length_of(body.size() + 1) + kind;
  send_all(socket_, frame.append(body));
}

std::string Meeting::receive(char kind) {
  char length[sizeof(std::uint32_t)];
  receive_all(socket_, length, sizeof length);
  const std::uint32_t size = read_length(length);
  if (size == 0 || size > kLargestFrame) throw no_frame();
  std::string frame(size, '\0');
  receive_all(socket_, frame.data(), size);
  if (frame[0] == 'X') throw PeerLost("the driver ended the run: " + frame.substr(1));
  if (frame[0] != kind) throw no_frame();
  return frame.substr(1);
}

}  // namespace tensorwire
