#include <doctest/doctest.h>

#include <string>

#include "channels/iovecs.h"

namespace tensorwire {
namespace {

/// A text cut into parts of these sizes.
struct Message {
  std::string text;
  std::vector<iovec> parts;

  explicit Message(const std::vector<std::size_t>& sizes) {
    for (const std::size_t size : sizes) text.resize(text.size() + size);
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 26);
    std::size_t at = 0;
    for (const std::size_t size : sizes) {
      parts.push_back({text.data() + at, size});
      at += size;
    }
  }
};

std::string offered(const msghdr& header) {
  std::string text;
  for (std::size_t i = 0; i < header.msg_iovlen; ++i) {
    text.append(static_cast<const char*>(header.msg_iov[i].iov_base), header.msg_iov[i].iov_len);
  }
  return text;
}

/// What a kernel sees that moves at most `step` bytes at a time.
std::string moved(Cursor& cursor, std::size_t step) {
  std::string all;
  while (!cursor.finished()) {
    const msghdr next = cursor.next();
    CHECK(next.msg_iovlen <= IOV_MAX);
    const std::string piece = offered(next).substr(0, step);
    REQUIRE(!piece.empty());
    all += piece;
    cursor.advance(piece.size());
  }
  return all;
}

TEST_CASE("a message comes out whole and in order, however it is cut and moved") {
  for (const auto& sizes : {std::vector<std::size_t>{5}, {16, 1, 2, 3}, {0, 3, 0, 0, 1, 5, 0}, {1, 1, 1, 1}}) {
    const Message message(sizes);
    for (std::size_t step = 1; step <= message.text.size(); ++step) {
      Cursor cursor;
      cursor.restart(message.parts);
      CHECK(moved(cursor, step) == message.text);
    }
  }
}

TEST_CASE("more parts than one system call takes come in stretches") {
  for (const std::size_t part : {1, 3}) {
    const Message message(std::vector<std::size_t>(2 * IOV_MAX + 7, part));
    for (const std::size_t step : {part * IOV_MAX, part * IOV_MAX - 1, part * IOV_MAX + 1, std::size_t{1000}}) {
      Cursor cursor;
      cursor.restart(message.parts);
      CHECK(moved(cursor, step) == message.text);
    }
  }
}

TEST_CASE("where there is nothing to move a cursor is finished at once") {
  Cursor cursor;
  cursor.restart({});
  CHECK(cursor.finished());
  const Message empty({0, 0});
  cursor.restart(empty.parts);
  CHECK(cursor.finished());
}

TEST_CASE("a cursor begins anew with what was moved in part") {
  const Message message({4, 4});
  Cursor cursor;
  cursor.restart(message.parts);
  cursor.advance(6);
  CHECK(offered(cursor.next()) == message.text.substr(6));
  cursor.restart(message.parts);
  CHECK(offered(cursor.next()) == message.text);
}

TEST_CASE("a message is its header and its payload's buffers, as they lie in memory") {
  const PayloadSet set(std::vector<std::vector<std::uint64_t>>{{3, 0, 7}}, Fill::random, 1);
  const Payload& payload = set.payloads()[0];
  const std::byte header[2]{};
  const std::vector<iovec> parts = as_message(header, payload);
  REQUIRE(parts.size() == 4);
  CHECK(parts[0].iov_base == header);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(parts[i + 1].iov_base == payload.buffers[i].data());
    CHECK(parts[i + 1].iov_len == payload.buffers[i].size());
  }
}

}  // namespace
}  // namespace tensorwire
