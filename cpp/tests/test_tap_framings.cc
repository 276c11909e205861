#include <doctest/doctest.h>

#include "tests/test_tap.h"

using namespace tensorwire::tap;
using namespace tensorwire::tap::test;

namespace {

std::string little(std::uint64_t value, int bytes) {
  const std::string big = big_endian(value, bytes);
  return {big.rbegin(), big.rend()};
}

constexpr std::uint64_t kLayout = 0x7477'0001;

/// A header of the channel `tcp`; kinds are counted from the layout's.
std::string header(std::uint64_t kind, std::uint64_t payload, std::uint64_t bytes) {
  std::string made = little(kLayout + kind, 4) + little(payload, 4) + little(bytes, 8);
  made.resize(sizeof(tensorwire::tcp::Header));
  return made;
}

std::string call(std::uint64_t kind, std::size_t bytes) { return header(kind, 0, bytes) + std::string(bytes, 'p'); }

const std::string kCaller = header(0, 1, 24) + little(2, 8) + little(10, 8) + little(20, 8);

std::string operation(std::uint64_t code, std::uint64_t length) {
  const bool carries = code < 2;
  return little(48 + (carries ? length : 0), 8) + little(code, 8) + little(7, 8) + little(0, 8) + little(length, 8) +
         little(0, 8) + std::string(carries ? length : 0, 'd');
}

std::string tls_record(unsigned type, std::size_t length) {
  return big_endian(type, 1) + big_endian(0x0303, 2) + big_endian(length, 2) + std::string(length, '\1');
}

/// What is found must not depend on where the bytes are split.
void check_splits(const std::string& bytes) {
  Found whole;
  whole.feed(bytes);
  for (std::size_t at = 1; at < bytes.size(); ++at) {
    Found split;
    split.feed(bytes.substr(0, at));
    split.feed(bytes.substr(at));
    CHECK(split.protocols == whole.protocols);
    REQUIRE(split.messages.size() == whole.messages.size());
    for (std::size_t i = 0; i < whole.messages.size(); ++i) CHECK(split.messages[i].bytes == whole.messages[i].bytes);
  }
}

}  // namespace

TEST_CASE("a caller over tcp sends its layout, which is no message, and numbered requests") {
  Found found;
  found.feed(kCaller + call(1, 30) + call(2, 5));
  CHECK(found.protocols == std::vector{Protocol::tcp_caller});
  CHECK(found.messages == std::vector<Seen>{{1, 0, 30, {30}, 1}, {2, 0, 5, {5}, 2}});
  check_splits(kCaller + call(1, 30) + call(2, 5));
}

TEST_CASE("a server over tcp answers the layout, and acknowledgements carry nothing") {
  const std::string bytes = header(0, 1, 24) + header(2, 0, 30) + call(1, 30) + header(2, 0, 30) + call(4, 9);
  Found found;
  found.feed(bytes);
  CHECK(found.protocols == std::vector{Protocol::tcp_server});
  CHECK(found.messages ==
        std::vector<Seen>{{1, 0, 0, {}, 2}, {2, 0, 30, {30}, 1}, {3, 0, 0, {}, 2}, {4, 0, 9, {9}, 4}});
  check_splits(bytes);
}

TEST_CASE("the buffers of a payload over tcp are its slices, also when a send was cut short") {
  Found found;
  found.feed(kCaller + header(1, 0, 30));
  const std::string one(10, 'a');
  const std::string other(20, 'b');
  found.feed_in_place(one);
  found.feed_in_place(std::string_view(other).substr(0, 4));
  found.feed_in_place(std::string_view(other).substr(4));
  CHECK(found.messages == std::vector<Seen>{{1, 0, 30, {10, 20}, 1}});
}

TEST_CASE("operations of gloo that carry data are messages, at both ends") {
  const std::string bytes = operation(2, 500) + operation(1, 30) + operation(3, 70) + operation(0, 5) + operation(1, 0);
  for (const std::string& first : {std::string(), little(3, 8)}) {
    Found found;
    found.feed(first + bytes);
    CHECK(found.protocols == std::vector{Protocol::gloo});
    CHECK(found.messages == std::vector<Seen>{{0, 0, 30, {30}, 1}, {0, 0, 5, {5}, 0}, {0, 0, 0, {}, 1}});
    check_splits(first + bytes);
  }
}

TEST_CASE("what is no operation any more makes gloo raw, and what is unread is counted") {
  Found found;
  found.feed(operation(1, 30) + std::string(60, 'x'));
  CHECK(found.protocols == std::vector{Protocol::gloo, Protocol::raw});
  CHECK(found.messages.size() == 1);
  CHECK(found.parser().unread() == 60);
}

TEST_CASE("records of application data are what is seen of TLS") {
  const std::string hello = big_endian(22, 1) + big_endian(0x0301, 2) + big_endian(5, 2) + "\1" + "abcd";
  const std::string bytes = hello + tls_record(20, 1) + tls_record(23, 300) + tls_record(21, 2) + tls_record(23, 17);
  Found found;
  found.feed(bytes);
  CHECK(found.protocols == std::vector{Protocol::tls});
  CHECK(found.messages == std::vector<Seen>{{0, 0, 300, {300}, 23}, {0, 0, 17, {17}, 23}});
  check_splits(bytes);
}

TEST_CASE("all that was sent is unread where nothing was recognized") {
  for (const std::string& bytes : {std::string(100, 'x'), std::string(100, 0), little(48, 8) + std::string(92, 'x'),
                                   little(kLayout, 4) + std::string(96, 'x'), kPreface.substr(0, 20) + "no"}) {
    Found found;
    found.feed(bytes);
    CHECK(found.messages.empty());
    if (found.protocols == std::vector{Protocol::raw}) CHECK(found.parser().unread() == bytes.size());
  }
}

TEST_CASE("what HTTP/2 holds when it gives up is unread") {
  Found found;
  const std::string partial = data(3, message(50).substr(0, 30));
  const std::string wrong = data(5, "hello");
  found.feed(kPreface + data(1, message(9)) + partial + wrong + "rest");
  CHECK(found.protocols == std::vector{Protocol::http2_client, Protocol::raw});
  CHECK(found.messages.size() == 1);
  CHECK(found.parser().unread() == 30 + wrong.size() + 4);  // the frame around the part is over
}

TEST_CASE("bytes that nobody sees are done without in the midst of a message") {
  Found found;
  found.feed(kPreface + head(0, 0, 1, 5 + 100) + message(100).substr(0, 5));
  found.skip(60);
  found.skip(40);
  found.feed(data(3, message(7)));
  CHECK(found.messages == std::vector<Seen>{{1, 0, 100, {60, 40}}, {3, 0, 7, {7}}});
  Found gloo;
  gloo.feed(operation(1, 30).substr(0, 48));
  gloo.skip(30);
  gloo.feed(operation(1, 5));
  CHECK(gloo.messages == std::vector<Seen>{{0, 0, 30, {30}, 1}, {0, 0, 5, {5}, 1}});
}

TEST_CASE("bytes that nobody sees end it where they had to be read") {
  Found first;
  first.skip(10);
  CHECK(first.protocols == std::vector{Protocol::raw});
  CHECK(first.parser().unread() == 10);
  Found headers;
  headers.feed(kPreface + head(1, 4, 1, 10));
  headers.skip(10);
  CHECK(headers.protocols == std::vector{Protocol::http2_client, Protocol::raw});
  CHECK(headers.parser().unread() == 9 + 10);
  Found beyond;
  beyond.feed(kPreface + head(0, 0, 1, 15) + message(10).substr(0, 5));
  beyond.skip(12);
  CHECK(beyond.messages.size() == 1);
  CHECK(beyond.parser().unread() == 2);
}

TEST_CASE("after a pause it goes on where a message begins") {
  Found found;
  found.feed(kPreface + data(1, message(9)) + data(3, message(50).substr(0, 20)));
  const std::string amid(40, 'm');
  CHECK_FALSE(found.parser().resume(std::as_bytes(std::span(amid))));
  const std::string next = frame(1, 4, 5, "block");
  CHECK(found.parser().resume(std::as_bytes(std::span(next))));
  found.feed(next + data(3, "stuff of a message that began before") + data(5, message(6) + message(4)));
  CHECK(found.protocols == std::vector{Protocol::http2_client});
  CHECK(found.messages == std::vector<Seen>{{1, 0, 9, {9}}, {5, 0, 6, {6}}, {5, 0, 4, {4}}});
}

TEST_CASE("after a pause each framing knows its own begin") {
  for (const auto& [before, next] :
       {std::pair{operation(1, 30), operation(1, 4)}, {kCaller, call(1, 4)}, {tls_record(22, 4), tls_record(23, 4)}}) {
    Found found;
    found.feed(before);
    REQUIRE(found.protocols.size() == 1);
    const std::size_t told = found.messages.size();
    const std::string amid(60, '\5');
    CHECK_FALSE(found.parser().resume(std::as_bytes(std::span(amid))));
    CHECK(found.parser().resume(std::as_bytes(std::span(next))));
    found.feed(next);
    CHECK(found.messages.size() == told + 1);
    CHECK(found.messages.back().bytes == 4);
  }
}
