#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "core/errors.h"
#include "driver.h"
#include "rank/meeting.h"

namespace tensorwire {
namespace {

using Blobs = std::vector<std::string>;

constexpr Nanoseconds kLong = 60_s;

/// Hears the first words, says one frame as it is, and waits until the rank has gone.
Driver::Script answering(const std::string& bytes) {
  return [bytes](const Guest& guest) {
    guest.hear();
    guest.say_raw(bytes);
    while (!guest.hear().empty()) {
    }
    return Blobs{};
  };
}

std::string framed(const std::string& frame) { return Guest::length_of(frame) + frame; }

TEST_CASE("a rank proves that it belongs, gathers and hands in") {
  const std::string binary("\0\xff\n", 3);
  Driver driver([&](const Guest& guest) {
    Blobs heard{guest.hear(), guest.hear()};
    guest.share({"mine", "", binary});
    heard.push_back(guest.hear());
    heard.push_back(guest.hear());
    guest.share({});
    heard.push_back(guest.hear());
    return heard;
  });
  {
    Meeting meeting(driver.address(), 2, "secret", kLong);
    CHECK(meeting.all_gather(binary) == Blobs{"mine", "", binary});
    meeting.hand_in("words");
    CHECK(meeting.all_gather("").empty());
  }
  const Blobs heard = driver.heard();
  CHECK(nlohmann::json::parse(heard[0]) == nlohmann::json{{"rank", 2}, {"token", "secret"}});
  CHECK(heard[1] == "G" + binary);
  CHECK(heard[2] == "Hwords");
  CHECK(heard[3] == "G");
  CHECK(heard[4].empty());
}

TEST_CASE("a blob larger than any buffer of a socket comes whole, both ways") {
  const std::string large(32 << 20, 'x');
  Driver driver([](const Guest& guest) {
    guest.hear();
    const std::string blob = guest.hear().substr(1);
    guest.share({blob, blob});
    return Blobs{};
  });
  Meeting meeting(driver.address(), 0, "", kLong);
  CHECK(meeting.all_gather(large) == Blobs{large, large});
}

TEST_CASE("a driver that ends the run says why") {
  const Driver driver(answering(framed("Xrank 3 is late")));
  Meeting meeting(driver.address(), 0, "", kLong);
  CHECK_THROWS_WITH_AS(meeting.all_gather(""), doctest::Contains("rank 3 is late"), PeerLost);
}

TEST_CASE("a driver that is gone is noticed") {
  const Driver driver([](const Guest& guest) { return Blobs{guest.hear()}; });
  Meeting meeting(driver.address(), 0, "", kLong);
  CHECK_THROWS_AS(meeting.all_gather(""), PeerLost);
  CHECK_THROWS_AS(
      {
        for (;;) meeting.hand_in("nobody hears");
      },
      PeerLost);
}

TEST_CASE("a driver that says nothing is given up") {
  const Driver driver(answering(""));
  Meeting meeting(driver.address(), 0, "", 10_ms);
  CHECK_THROWS_WITH_AS(meeting.all_gather(""), doctest::Contains("does not answer"), PeerLost);
}

TEST_CASE("what is no frame is no answer") {
  const std::string endless = "\xff\xff\xff\xff";
  const std::string part = Guest::length_of("0123456789") + "0123";
  for (const std::string& bytes : {framed(""), endless, framed("G" + endless), framed("G" + part), framed("Gxy")}) {
    const Driver driver(answering(bytes));
    Meeting meeting(driver.address(), 0, "", kLong);
    CHECK_THROWS_WITH_AS(meeting.all_gather(""), doctest::Contains("not a frame"), PeerLost);
  }
}

TEST_CASE("where nobody listens there is no meeting") {
  std::string address;
  {
    const Socket listening = listen_at("127.0.0.1:0");
    address = bound_address(listening, "127.0.0.1:0");
  }
  CHECK_THROWS_WITH_AS(Meeting(address, 0, "", kLong), doctest::Contains(address.c_str()), PeerLost);
}

}  // namespace
}  // namespace tensorwire
