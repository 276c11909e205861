// Coverage-guided fuzzing of the tap: its parsers, and the table of connections that feeds them. An input is either the
// bytes that one connection sends (after a 0 and a byte that says how to split them), or a list of what a program does
// with four sockets. Built by `make test-fuzz` with clang, with sanitizers; tests/fuzz_tap holds the seeds.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <random>
#include <vector>

#include "tap/connections.h"
#include "tests/test_tap.h"

namespace {

using namespace tensorwire::tap;
using tensorwire::tap::test::Found;
using tensorwire::tap::test::Seen;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

void check(const Found& found, std::size_t bytes) {
  std::uint64_t told = 0;
  for (const Seen& message : found.messages) {
    const std::uint64_t sum = std::accumulate(message.slices.begin(), message.slices.end(), std::uint64_t{0});
    require(sum == message.bytes, "the slices of a message are all of it");
    require(message.slices.size() <= Pieces::kSlices, "no more slices are told than are kept");
    told += message.bytes;
  }
  require(found.protocols.size() <= 2, "a connection is recognized once, and given up once");
  if (found.parser().protocol() == Protocol::raw) told += found.parser().unread();
  require(told <= bytes, "nothing is told that was not sent, nor twice");
}

/// All at once, and in pieces from memory of their very size.
void fuzz_parser(std::string_view bytes, unsigned split) {
  static Parser parsers[2];
  Found whole(parsers[0]);
  whole.feed(bytes);
  check(whole, bytes.size());
  Found parts(parsers[1]);
  std::minstd_rand random(split + 1);
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t take = std::min<std::size_t>(bytes.size() - at, 1 + random() % (1 + split));
    parts.feed(bytes.substr(at, take));
    at += take;
  }
  check(parts, bytes.size());
  require(whole.protocols == parts.protocols, "splits do not change the protocol");
  require(whole.blocks == parts.blocks, "splits do not change header blocks");
  require(whole.messages.size() == parts.messages.size(), "splits do not change the number of messages");
  require(whole.parser().unread() == parts.parser().unread(), "splits do not change what is unread");
}

/// The table of a process that has four connections, and the log that it writes.
class Process {
 public:
  Process() {
    for (auto& pair : sockets_) require(socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) == 0, "there are sockets");
    std::string name = (std::filesystem::temp_directory_path() / "fuzz-tap-XXXXXX").string();
    require(mkdtemp(name.data()) != nullptr, "there is a directory for the logs");
    directory_ = name;
    log_.set_directory(directory_.c_str(), 1 << 16);
  }

  ~Process() { std::filesystem::remove_all(directory_); }

  void begin() {
    if (++inputs_ % 4096 == 0) {  // the log is full
      log_.begin_again();
      for (const auto& each : std::filesystem::directory_iterator(directory_)) std::filesystem::remove(each);
    }
    for (const auto& pair : sockets_) table_.open(pair[0], How::connect);
  }

  void end() { table_.forget(0, 2 * kShared); }

  /// Does one thing, and takes its arguments from the front of `rest`.
  void step(std::string_view& rest) {
    const unsigned action = byte(rest);
    const int fd = sockets_[action >> 6][0];
    switch (action & 15) {
      case 0:
        return table_.sent_unseen(fd, byte(rest) + 1);
      case 1:
        return table_.received(fd, byte(rest) + 1);
      case 2:
        return table_.open(fd, How::accept);
      case 3:
        return table_.share(fd, fd + kShared);
      case 4:
        return table_.forget(fd + kShared);
      case 5:
        return table_.forget(fd);
      case 6:
        return table_.decrypt(fd);
      case 7:
        return with_bytes(rest, [&](std::span<const std::byte> bytes) { table_.sent_plain(fd, bytes); });
      case 8:
        return table_.begin_again();
      default:
        return send(fd, rest);
    }
  }

 private:
  static constexpr int kShared = 500;  // so far from a socket's number is that of its second descriptor

  static unsigned byte(std::string_view& rest) {
    if (rest.empty()) return 0;
    const auto value = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    return value;
  }

  /// A copy of its very size, so that a read beyond it is seen.
  template <typename Use>
  static void with_bytes(std::string_view& rest, Use use) {
    const std::size_t size = std::min<std::size_t>(rest.size(), byte(rest) * 4);
    const std::vector<char> copy(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(std::min(size, rest.size())));
    rest.remove_prefix(copy.size());
    if (!copy.empty()) use(std::as_bytes(std::span(copy)));
  }

  /// Up to three buffers, of which the kernel takes all or not.
  void send(int fd, std::string_view& rest) {
    const unsigned shape = byte(rest);
    std::array<iovec, 3> buffers{};
    std::array<std::vector<std::byte>, 3> memory;
    std::size_t total = 0;
    for (std::size_t i = 0; i <= shape % 3; ++i) {
      with_bytes(rest, [&](std::span<const std::byte> bytes) { memory[i].assign(bytes.begin(), bytes.end()); });
      buffers[i] = {memory[i].data(), memory[i].size()};
      total += memory[i].size();
    }
    const std::size_t taken = (shape & 0x80) != 0 ? total / 2 : total;
    if (taken > 0) table_.sent(fd, std::span(buffers).first(shape % 3 + 1), taken);
  }

  Log log_;
  Connections table_{log_};
  std::array<std::array<int, 2>, 4> sockets_{};
  std::string directory_;
  std::size_t inputs_ = 0;
};

void fuzz_table(std::string_view rest) {
  static Process process;
  process.begin();
  while (!rest.empty()) process.step(rest);
  process.end();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (size < 2) return 0;
  if (data[0] == 0) {
    fuzz_parser(input.substr(2), data[1]);
  } else {
    fuzz_table(input.substr(1));
  }
  return 0;
}
