#include <doctest/doctest.h>

#include "tests/test_tap.h"

using namespace tensorwire::tap;
using namespace tensorwire::tap::test;

TEST_CASE("a client is known by its preface") {
  Found found;
  feed(found, kPreface + frame(4, 0, 0, ""));
  CHECK(found.protocols == std::vector{Protocol::http2_client});
}

TEST_CASE("a server is known by the settings that it sends first") {
  Found found;
  feed(found, frame(4, 0, 0, std::string(12, 'x')) + data(1, message(3)));
  CHECK(found.protocols == std::vector{Protocol::http2_server});
  CHECK(found.messages == std::vector<Seen>{{1, 0, 3, {3}}});
}

TEST_CASE("anything else is raw, and stays so") {
  for (const std::string other :
       {"GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/1.1\r\n", "\x16\x03\x09\x02\x00\x01\x00\x01\xfc"}) {
    Found found;
    feed(found, other + kPreface + data(1, message(3)));
    CHECK(found.protocols == std::vector{Protocol::raw});
    CHECK(found.messages.empty());
  }
}

TEST_CASE("messages are found wherever the bytes are split") {
  const std::string bytes = kPreface + frame(4, 0, 0, std::string(6, 's')) + frame(1, 4, 1, "block") +
                            data(1, message(300).substr(0, 2)) + data(1, message(300).substr(2)) +
                            data(3, message(0) + message(7)) + frame(1, 1, 1, "part") + frame(9, 4, 1, "rest");
  Found whole;
  feed(whole, bytes);
  CHECK(whole.messages == std::vector<Seen>{{1, 0, 300, {300}}, {3, 0, 0, {}}, {3, 0, 7, {7}}});
  CHECK(whole.blocks == std::vector<Block>{{1, 4, "block"}, {1, 1, "part"}, {1, 4, "rest"}});
  for (std::size_t at = 1; at < bytes.size(); ++at) {
    Found split;
    split.feed(bytes.substr(0, at));
    split.feed(bytes.substr(at));
    CHECK(split.blocks == whole.blocks);
    REQUIRE(split.messages.size() == 3);
    CHECK(split.messages[0].bytes == 300);
  }
}

TEST_CASE("streams may be interleaved") {
  const std::string bytes = message(40);
  Found found;
  feed(found, kPreface + data(1, bytes.substr(0, 20)) + data(3, bytes.substr(0, 25)) + data(1, bytes.substr(20)) +
                  data(3, bytes.substr(25)));
  REQUIRE(found.messages.size() == 2);
  CHECK(found.messages[0].stream == 1);
  CHECK(found.messages[1].stream == 3);
  CHECK(found.messages[1].bytes == 40);
}

TEST_CASE("padding and priority are no content") {
  Found found;
  feed(found, kPreface + frame(1, 4 | 8 | 0x20, 1, std::string("\3", 1) + "PRIOR" + "block" + "pad") +
                  frame(0, 8, 1, std::string("\4", 1) + message(9) + "pads"));
  CHECK(found.blocks == std::vector<Block>{{1, 4, "block"}});
  CHECK(found.messages == std::vector<Seen>{{1, 0, 9, {9}}});
}

TEST_CASE("more padding than there is makes it raw") {
  Found found;
  feed(found, kPreface + frame(0, 8, 1, std::string("\7", 1) + "short") + data(3, message(1)));
  CHECK(found.protocols == std::vector{Protocol::http2_client, Protocol::raw});
  CHECK(found.messages.empty());
}

TEST_CASE("compressed messages are told apart") {
  Found found;
  std::string bytes = message(5);
  bytes[0] = 1;
  feed(found, kPreface + data(1, bytes));
  CHECK(found.messages == std::vector<Seen>{{1, kCompressed, 5, {5}}});
}

TEST_CASE("a reset of no stream resets none") {
  Found found;
  feed(found, kPreface + data(1, message(40)) + frame(3, 0, 0, "code") + data(1, "hello"));
  CHECK(found.messages.size() == 1);
  CHECK(found.parser().unread() == 9 + 5);
}

TEST_CASE("data that are no gRPC messages make it raw") {
  Found found;
  feed(found, kPreface + data(1, "hello") + data(3, message(1)));
  CHECK(found.protocols == std::vector{Protocol::http2_client, Protocol::raw});
}

TEST_CASE("each buffer is a slice, and frames within it do not count") {
  Found found;
  found.feed(kPreface);
  const std::string large(40, 'l');
  const std::string small(30, 's');
  found.feed(head(0, 0, 1, 5 + 25) + message(70).substr(0, 5));
  found.feed_in_place(std::string_view(large).substr(0, 25));
  found.feed(head(0, 0, 1, 15 + 30));
  found.feed_in_place(std::string_view(large).substr(25));
  found.feed_in_place(small);
  CHECK(found.messages == std::vector<Seen>{{1, 0, 70, {40, 30}}});
}

TEST_CASE("what a frame's end left of a slice is not a slice, though it was copied") {
  Found found;
  found.feed(kPreface);
  const std::string large(100, 'l');
  const std::string copy(5, 'c');
  found.feed(head(0, 0, 1, 5 + 100) + message(150).substr(0, 5));
  found.feed_in_place(large);
  found.feed(head(0, 0, 1, 50));
  found.feed_in_place(copy);
  found.feed_in_place(std::string_view(large).substr(0, 45));
  CHECK(found.messages == std::vector<Seen>{{1, 0, 150, {105, 45}}});
}

TEST_CASE("a message that is cut off by the end of its stream is none") {
  Found found;
  feed(found, kPreface + frame(0, 1, 1, message(50).substr(0, 20)) + data(1, message(2)));
  CHECK(found.messages == std::vector<Seen>{{1, 0, 2, {2}}});
}

TEST_CASE("with more streams amid a message than are kept, it is raw") {
  std::string bytes = kPreface;
  for (std::uint32_t i = 0; i <= Http2::kStreams; ++i) bytes += data(2 * i + 1, message(9).substr(0, 7));
  Found found;
  feed(found, bytes);
  CHECK(found.protocols == std::vector{Protocol::http2_client, Protocol::raw});
}

TEST_CASE("of more slices than are kept the last is all the rest") {
  Found found;
  found.feed(kPreface);
  const std::size_t count = Pieces::kSlices + 10;
  found.feed(head(0, 0, 1, static_cast<std::uint32_t>(5 + count)) + message(count).substr(0, 5));
  const std::string memory(2 * count, 'm');
  for (std::size_t i = 0; i < count; ++i) found.feed_in_place(std::string_view(memory).substr(2 * i, 1));
  REQUIRE(found.messages.size() == 1);
  CHECK(found.messages[0].flags == kSlicesCut);
  CHECK(found.messages[0].slices.size() == Pieces::kSlices);
  CHECK(found.messages[0].slices.back() == 11);
}

TEST_CASE("a long block is told in parts") {
  Found found;
  feed(found, kPreface + frame(1, 4, 1, std::string(Http2::kFragment + 5, 'b')));
  REQUIRE(found.blocks.size() == 2);
  CHECK(found.blocks[0].flags == 0);
  CHECK(found.blocks[1] == Block{1, 4, "bbbbb"});
}
