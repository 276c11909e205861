#include "channels/ucx_control.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "channels/tcp_wire.h"
#include "core/errors.h"

namespace tensorwire::ucx {
namespace {

struct Head {
  Word word;
  std::uint32_t reserved;
  std::uint64_t size;
};
static_assert(sizeof(Head) == 16);

constexpr std::uint64_t kLongest = 64 << 20;  // the sizes of eight million buffers
constexpr std::size_t kLayoutWords = 3;

std::string as_body(std::span<const std::uint64_t> words) {
  return {reinterpret_cast<const char*>(words.data()), words.size_bytes()};
}

std::optional<std::vector<std::uint64_t>> as_words(std::string_view body) {
  if (body.size() % sizeof(std::uint64_t) != 0) return std::nullopt;
  std::vector<std::uint64_t> words(body.size() / sizeof(std::uint64_t));
  std::copy_n(body.data(), body.size(), reinterpret_cast<char*>(words.data()));
  return words;
}

}  // namespace

std::string Layout::body() const {
  std::vector<std::uint64_t> words{lane, places, sizes.size()};
  const std::vector<std::uint64_t> all = tcp::layout_of(sizes);
  words.insert(words.end(), all.begin(), all.end());
  return as_body(words);
}

std::optional<Layout> Layout::read(std::string_view body) {
  const auto words = as_words(body);
  if (!words || words->size() < kLayoutWords) return std::nullopt;
  const auto sizes = tcp::read_layout(std::span(*words).subspan(kLayoutWords), words->at(2));
  if (!sizes) return std::nullopt;
  return Layout{.lane = words->at(0), .places = words->at(1), .sizes = *sizes};
}

std::string number_body(std::uint64_t number) { return as_body({&number, 1}); }

std::optional<std::uint64_t> read_number(std::string_view body) {
  const auto words = as_words(body);
  return words && words->size() == 1 ? std::optional(words->front()) : std::nullopt;
}

Control::Control(Socket socket) : socket_(std::move(socket)) {
  const timeval patience{.tv_sec = 5, .tv_usec = 0};  // what is said is short: who does not read it is stuck
  setsockopt(fd(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

void Control::say(Word word, std::string_view body) {
  const Head head{word, 0, body.size()};
  std::string frame(reinterpret_cast<const char*>(&head), sizeof head);
  frame += body;
  for (std::string_view rest = frame; !rest.empty();) {
    const ssize_t n = send(fd(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw PeerLost("the control connection is lost: " + error_text(errno));
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
}

std::optional<Frame> Control::complete() {
  Head head{};
  if (received_.size() < sizeof head) return std::nullopt;
  std::memcpy(&head, received_.data(), sizeof head);
  if (head.word < Word::hello || head.word > Word::refused || head.size > kLongest) {
    throw PeerLost("who connected is not a rank of this run");
  }
  if (received_.size() < sizeof head + head.size) return std::nullopt;
  Frame frame{head.word, received_.substr(sizeof head, head.size)};
  received_.erase(0, sizeof head + head.size);
  return frame;
}

std::optional<Frame> Control::heard() {
  for (;;) {
    if (auto frame = complete()) return frame;
    std::array<char, 1 << 16> room;
    const ssize_t n = recv(fd(), room.data(), room.size(), MSG_DONTWAIT);
    if (n > 0) {
      received_.append(room.data(), static_cast<std::size_t>(n));
    } else if (n < 0 && errno == EAGAIN) {
      return std::nullopt;
    } else if (n == 0 || errno != EINTR) {
      throw PeerLost(n == 0 ? "it closed the control connection"
                            : "its control connection is lost: " + error_text(errno));
    }
  }
}

Frame Control::hear(Nanoseconds timeout) {
  const SteadyClock clock;
  const Nanoseconds deadline = clock.now() + timeout;
  for (;;) {
    if (auto frame = heard()) return *frame;
    const Nanoseconds left = deadline - clock.now();
    if (left <= 0) throw PeerLost("it does not answer");
    pollfd waiting{.fd = fd(), .events = POLLIN, .revents = 0};
    const timespec limit{.tv_sec = left / 1_s, .tv_nsec = left % 1_s};
    ppoll(&waiting, 1, &limit, nullptr);
  }
}

bool Control::ended() const {
  char next = 0;
  const ssize_t n = recv(fd(), &next, 1, MSG_DONTWAIT | MSG_PEEK);
  return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

}  // namespace tensorwire::ucx
