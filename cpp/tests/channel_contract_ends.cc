// What every native stack promises when a peer goes away, and of the addresses that it serves at.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>

#include "tests/channel_contract.h"

using namespace tensorwire;
using namespace tensorwire::contract;

namespace {

/// Whether bytes are put into the peer's memory, which must then be there: in one process it is not when that has left.
bool puts(const Opening& opening) { return opening.options.value("one_sided", false); }

}  // namespace

TEST_CASE("a peer that goes away is noticed") {
  over_all([](const Opening& opening) {
    if (puts(opening)) return;
    auto channels = open_all(2, 1, opening);
    if (moves_nothing(*channels[0])) return;
    const PayloadSet set = payloads({{1000}});
    const std::vector<std::uint32_t> slots{0};
    const auto caller = channels[1]->caller(slots);
    caller->prepare(set.payloads(), {});
    check(*caller, set.payloads(), {}, 1, kLong);
    channels[0].reset();
    CHECK_THROWS_AS(
        {
          caller->call({0, 0, Reply::echo});
          Completion done{};
          caller->wait({&done, 1}, kLong);
        },
        PeerLost);
  });
}

TEST_CASE("a peer that goes away while calls are under way is noticed") {
  over_all([](const Opening& opening) {
    if (puts(opening)) return;
    auto channels = open_all(2, 1, opening);
    if (moves_nothing(*channels[0])) return;
    const PayloadSet set = payloads({{1000}});
    std::promise<void> calling;
    auto lost = std::async(std::launch::async, [&] {
      const std::vector<std::uint32_t> slots(4, 0);
      const auto caller = channels[1]->caller(slots);
      caller->prepare(set.payloads(), {});
      check(*caller, set.payloads(), {}, 4, kLong);
      calling.set_value();
      run(*caller, set, 4, 0, Reply::echo);
    });
    calling.get_future().wait();
    channels[0].reset();
    CHECK_THROWS_AS(lost.get(), PeerLost);
  });
}

namespace {

/// A directory for sockets, for as long as it lives.
class SocketDirectory {
 public:
  SocketDirectory() : path_(std::filesystem::temp_directory_path() / ("tensorwire-" + std::to_string(getpid()))) {
    std::filesystem::create_directory(path_);
  }
  SocketDirectory(const SocketDirectory&) = delete;
  SocketDirectory& operator=(const SocketDirectory&) = delete;
  ~SocketDirectory() { std::filesystem::remove_all(path_); }

  std::string host() const { return "unix:" + path_.string(); }

 private:
  std::filesystem::path path_;
};

/// Whether the stack serves at sockets in a directory, in one that is gone afterwards; one that does not says so.
bool serves_at_sockets() {
  const SocketDirectory tried;
  Opening opening;
  opening.host = tried.host();
  try {
    open_all(1, 1, opening);
    return true;
  } catch (const ChannelError& refused) {
    CHECK(std::string(refused.what()).find("unix") != std::string::npos);
    return false;
  }
}

}  // namespace

TEST_CASE("sockets in a directory serve like addresses, where they serve at all") {
  if (!serves_at_sockets()) return;
  const SocketDirectory directory;
  Opening opening;
  opening.host = directory.host();
  const auto channels = open_all(3, 2, opening);
  const PayloadSet set = payloads({{1}, {100'000}});
  const std::vector<std::uint32_t> slots{0, 1};
  const auto caller = channels[2]->caller(slots);
  caller->prepare(set.payloads(), {});
  CHECK_NOTHROW(check(*caller, set.payloads(), {}, 2, kLong));
  const std::string transport = channels[2]->settings().at("transport");
  CHECK((transport == "unix" || transport == "none"));
}

namespace {

/// A port that nobody has.
std::uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  REQUIRE(bind(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0);
  REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  close(fd);
  return ntohs(address.sin_port);
}

}  // namespace

TEST_CASE("an address that somebody has is refused before the ranks meet") {
  const bool at_sockets = serves_at_sockets();
  const SocketDirectory directory;
  Opening opening;
  if (at_sockets) {
    opening.host = directory.host();
  } else {
    opening.port = free_port();
  }
  const auto holding = open_all(1, 1, opening);
  if (!moves_nothing(*holding[0])) CHECK_THROWS_AS(open_all(1, 1, opening), AddressInUse);
}
