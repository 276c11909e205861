// What plain sockets promise to those who do not keep their side of the conversation.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <atomic>
#include <functional>
#include <future>
#include <limits>
#include <optional>
#include <string>
#include <thread>

#include "channels/tcp_caller.h"
#include "channels/tcp_server.h"
#include "core/check.h"
#include "core/errors.h"

namespace tensorwire::tcp {
namespace {

constexpr Nanoseconds kLong = 60_s;
constexpr const char* kAnywhere = "127.0.0.1:0";
constexpr std::uint32_t kOne[] = {0};

void send_all(int fd, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void send_header(int fd, const Header& header) { send_all(fd, std::as_bytes(std::span(&header, 1))); }

Header receive_header(int fd) {
  Header header{};
  recv(fd, &header, sizeof header, MSG_WAITALL);
  return header;
}

/// Reads `bytes` and forgets them.
void swallow(int fd, std::uint64_t bytes) {
  std::vector<std::byte> room(1 << 20);
  while (bytes > 0) {
    const ssize_t n = recv(fd, room.data(), std::min<std::size_t>(room.size(), bytes), 0);
    if (n <= 0) return;
    bytes -= static_cast<std::uint64_t>(n);
  }
}

bool is_closed(int fd) {
  char more = 0;
  return recv(fd, &more, 1, 0) <= 0;
}

/// Somebody who talks to a server as he pleases.
class Stranger {
 public:
  explicit Stranger(const Server& server) : socket_(connect_to(server.address(), kLong)) {}

  int fd() const { return socket_.fd(); }
  void say(const Header& header) const { send_header(fd(), header); }
  void say(const std::string& text) const { send_all(fd(), std::as_bytes(std::span(text))); }
  void announce(const std::vector<std::uint64_t>& words, std::uint32_t payloads) const {
    say({Kind::layout, payloads, words.size() * sizeof words[0]});
    send_all(fd(), std::as_bytes(std::span(words)));
  }

 private:
  Socket socket_;
};

void check_serves(const Server& server) {
  const std::string invitations[] = {text_of(server.invitation())};
  const PayloadSet set(Sizes{{100}, {3, 5}}, Fill::random, 1);
  TcpCaller caller(kOne, invitations, kLong);
  caller.prepare(set.payloads(), {});
  CHECK_NOTHROW(check(caller, set.payloads(), {}, 1, kLong));
}

/// A rank 0 that is not ours: agrees to the layout of whoever connects first and then does as the script says.
class Impostor {
 public:
  explicit Impostor(std::function<void(int fd)> script, Kind answer = Kind::layout)
      : listening_(listen_at(kAnywhere)), address_(bound_address(listening_, kAnywhere)) {
    thread_ = std::jthread([this, answer, script = std::move(script)] {
      const Socket socket(accept(listening_.fd(), nullptr, nullptr));
      Header header = receive_header(socket.fd());
      swallow(socket.fd(), header.bytes);
      header.kind = answer;
      send_header(socket.fd(), header);
      script(socket.fd());
    });
  }

  TcpCaller caller(std::span<const std::uint32_t> slots) const { return {slots, std::span(&address_, 1), kLong}; }

 private:
  Socket listening_;
  std::string address_;
  std::jthread thread_;
};

TEST_CASE("a layout tells the sizes of every buffer") {
  for (const Sizes& sizes : {Sizes{{1}}, Sizes{{1, 2, 3}, {}, {~std::uint64_t{0}}}, Sizes{}}) {
    CHECK(read_layout(layout_of(sizes), sizes.size()) == sizes);
    CHECK(!read_layout(layout_of(sizes), sizes.size() + 1));
  }
}

TEST_CASE("words that are no layout are told from one") {
  for (const auto& words : {std::vector<std::uint64_t>{1}, {2, 5}, {1, 5, 3, 1}, {~std::uint64_t{0}, 1}}) {
    for (const std::size_t payloads : {0, 1, 2}) CHECK(!read_layout(words, payloads));
  }
}

TEST_CASE("a server turns strangers away and goes on serving") {
  std::optional<Stranger> silent;  // outlives the server, which does not wait for him
  const Server server(kAnywhere, false);
  const std::vector<std::function<void(const Stranger&)>> openings{
      [](const Stranger& one) { one.say("GET / HTTP/1.1\r\nHost: here\r\n\r\n"); },
      [](const Stranger& one) {
        one.say("short");
        shutdown(one.fd(), SHUT_WR);
      },
      [](const Stranger& one) { one.say({Kind::echo, 0, 8}); },
      [](const Stranger& one) { one.say({Kind::layout, 1, std::numeric_limits<std::uint64_t>::max()}); },
      [](const Stranger& one) { one.announce({~std::uint64_t{0}, 1}, 1); },
      [](const Stranger& one) { one.announce({2, 10}, 1); },
      [](const Stranger& one) { one.announce({1, 10}, 2); },
  };
  for (const auto& opening : openings) {
    const Stranger stranger(server);
    opening(stranger);
    CHECK(is_closed(stranger.fd()));
  }
  silent.emplace(server);
  check_serves(server);
}

TEST_CASE("who was not invited is turned away before a byte of memory is taken") {
  const Server server(kAnywhere, false, 0xfeed'0000'0000'beef);
  for (const std::uint64_t ticket : {std::uint64_t{0}, std::uint64_t{0xfeed}, ~std::uint64_t{0}}) {
    const Stranger stranger(server);
    stranger.say({Kind::layout, 1, std::uint64_t{1} << 20, ticket});
    CHECK(is_closed(stranger.fd()));
    const std::string invitations[] = {text_of({server.address(), ticket})};
    TcpCaller caller(kOne, invitations, kLong);
    const PayloadSet set(Sizes{{100}}, Fill::random, 1);
    CHECK_THROWS_AS(caller.prepare(set.payloads(), {}), PeerLost);
  }
  check_serves(server);
}

TEST_CASE("an invitation is read as it was written") {
  for (const Invitation& each :
       {Invitation{"127.0.0.1:7", ~std::uint64_t{0}}, {"unix:/a b/rank-0.sock", 10}, {"[::1]:1", 0}}) {
    const Invitation read = read_invitation(text_of(each));
    CHECK(read.address == each.address);
    CHECK(read.ticket == each.ticket);
  }
}

TEST_CASE("payloads that there is no memory for are refused") {
  const Server server(kAnywhere, false);
  for (const std::vector<std::uint64_t>& words :
       {std::vector<std::uint64_t>{1, std::uint64_t{1} << 50}, {1, ~std::uint64_t{0}}, {2, 1ull << 63, 1ull << 63}}) {
    const Stranger stranger(server);
    stranger.announce(words, 1);
    CHECK(receive_header(stranger.fd()).kind == Kind::refused);
    CHECK(is_closed(stranger.fd()));
  }
  check_serves(server);

  const Impostor full([](int) {}, Kind::refused);
  const PayloadSet set(Sizes{{1}}, Fill::zeros, 1);
  TcpCaller caller = full.caller(kOne);
  CHECK_THROWS_WITH_AS(caller.prepare(set.payloads(), {}), doctest::Contains("could not get the memory"), ChannelError);
}

TEST_CASE("a request that is not of the layout ends the conversation and is not counted") {
  const Server server(kAnywhere, false);
  for (const Sizes& sizes : {Sizes{{4}}, Sizes{{4}, {4}}}) {
    const std::uint32_t payloads = static_cast<std::uint32_t>(sizes.size());
    for (const Header& request : {Header{Kind::echo, payloads, 4}, Header{Kind::echo, 0, 5}, Header{Kind::layout, 0, 4},
                                  Header{Kind::refused, 0, 4}, Header{static_cast<Kind>(0), 0, 4},
                                  Header{Kind::recorded, 0, 4}, Header{Kind::recorded, 0, 4, ~std::uint64_t{0}}}) {
      const Stranger stranger(server);
      stranger.announce(layout_of(sizes), payloads);
      CHECK(receive_header(stranger.fd()) == Header{Kind::layout, payloads, 2 * payloads * sizeof(std::uint64_t)});
      stranger.say(request);
      stranger.say("four");
      CHECK(is_closed(stranger.fd()));
    }
  }
  CHECK(server.served().calls == 0);
  CHECK(server.served().bytes == 0);
  check_serves(server);
}

TEST_CASE("a call that the peer does not take goes out while the caller waits, who keeps to his time") {
  std::promise<void> reading;
  const PayloadSet set(Sizes{{64 << 20}}, Fill::zeros, 1);
  Impostor peer([&](int fd) {
    reading.get_future().wait();
    Header request = receive_header(fd);
    swallow(fd, request.bytes);
    send_header(fd, request);
  });
  TcpCaller caller = peer.caller(kOne);
  caller.prepare(set.payloads(), {});
  caller.call({0, 0, Reply::acknowledge});
  Completion done{};
  CHECK(caller.wait({&done, 1}, 0) == 0);
  CHECK(caller.wait({&done, 1}, 1_ms) == 0);
  reading.set_value();
  CHECK(caller.wait({&done, 1}, kLong) == 1);
  CHECK(done.received == 64 << 20);
}

TEST_CASE("a reply that trickles in does not hold the caller longer than he waits") {
  constexpr std::size_t size = 64 << 20;
  std::atomic<std::size_t> sent = 0;
  Impostor peer([&](int fd) {
    const Header request = receive_header(fd);
    swallow(fd, request.bytes);
    send_header(fd, request);
    while (sent < size && send(fd, "", 1, MSG_NOSIGNAL) == 1) ++sent;
  });
  const PayloadSet set(Sizes{{size}}, Fill::zeros, 1);
  TcpCaller caller = peer.caller(kOne);
  caller.prepare(set.payloads(), {});
  caller.call({0, 0, Reply::echo});
  Completion done{};
  CHECK(caller.wait({&done, 1}, 1_ms) == 0);
  CHECK(sent < size);
}

TEST_CASE("acknowledgements may come in pieces") {
  std::promise<void> first_half_seen;
  Impostor peer([&](int fd) {
    std::vector<Header> replies;
    for (int i = 0; i < 2; ++i) {
      replies.push_back(receive_header(fd));
      swallow(fd, replies.back().bytes);
    }
    const Bytes all = std::as_bytes(std::span(replies));
    send_all(fd, all.first(9));
    first_half_seen.get_future().wait();
    send_all(fd, all.subspan(9));
  });
  const std::uint32_t slots[] = {0, 0};
  const PayloadSet set(Sizes{{5}, {7}}, Fill::zeros, 1);
  TcpCaller caller = peer.caller(slots);
  caller.prepare(set.payloads(), {});
  caller.call({0, 0, Reply::acknowledge});
  caller.call({1, 1, Reply::acknowledge});
  Completion done[2]{};
  CHECK(caller.wait(done, 1_ms) == 0);
  first_half_seen.set_value();
  std::uint64_t received = 0;
  for (int left = 2; left > 0;) {
    const std::size_t finished = caller.wait(done, kLong);
    REQUIRE(finished > 0);
    for (std::size_t i = 0; i < finished; ++i) received += done[i].received;
    left -= static_cast<int>(finished);
  }
  CHECK(received == 12);
}

TEST_CASE("a peer that never answers a layout is lost, however long the layout is") {
  const Socket listening = listen_at(kAnywhere);
  const std::string addresses[] = {bound_address(listening, kAnywhere)};
  for (const std::size_t buffers : {std::size_t{1}, std::size_t{2'000'000}}) {
    const PayloadSet set(Sizes{std::vector<std::uint64_t>(buffers, 0)}, Fill::zeros, 1);
    TcpCaller caller(kOne, addresses, 10_ms);
    CHECK_THROWS_AS(caller.prepare(set.payloads(), {}), PeerLost);
  }
}

}  // namespace
}  // namespace tensorwire::tcp
