#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "core/errors.h"
#include "driver.h"
#include "rank/meeting.h"
#include "rank/proof.h"

namespace tensorwire {
namespace {

using Blobs = std::vector<std::string>;

constexpr Nanoseconds kLong = 60_s;

/// Hears the first words, says one frame as it is, and waits until the rank has gone.
Driver::Script answering(const std::string& bytes) {
  return [bytes](const Guest& guest) {
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
    Blobs heard{guest.hello(), guest.hear()};
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
  const std::string proof = hmac_sha256("secret", std::string(Guest::kChallenge) + "2");
  CHECK(nlohmann::json::parse(heard[0]) == nlohmann::json{{"rank", 2}, {"proof", proof}});
  CHECK(heard[1] == "G" + binary);
  CHECK(heard[2] == "Hwords");
  CHECK(heard[3] == "G");
  CHECK(heard[4].empty());
}

TEST_CASE("the proof is that of RFC 4231 and FIPS 180-4") {
  CHECK(hmac_sha256("Jefe", "what do ya want for nothing?") ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(hmac_sha256(std::string(20, '\x0b'), "Hi There") ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(hmac_sha256(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First") ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  CHECK(sha256("")[0] == 0xe3);
  CHECK(sha256(std::string(1000, 'a'))[0] == 0x41);
  for (const std::size_t size : {55, 56, 63, 64, 119, 120}) CHECK(sha256(std::string(size, 'x')) != sha256(""));
}

TEST_CASE("a blob larger than any buffer of a socket comes whole, both ways") {
  const std::string large(32 << 20, 'x');
  Driver driver([](const Guest& guest) {
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

TEST_CASE("a rank that is turned away says why") {
  const Socket listening = listen_at("127.0.0.1:0");
  const std::jthread driver([&] {
    const Socket guest(accept(listening.fd(), nullptr, nullptr));
    const std::string frames = framed("Cwho") + framed("Xit is not one of us");
    send(guest.fd(), frames.data(), frames.size(), MSG_NOSIGNAL);
    char hello[200];
    while (recv(guest.fd(), hello, sizeof hello, 0) > 0) {
    }
  });
  CHECK_THROWS_WITH_AS(Meeting(bound_address(listening, "127.0.0.1:0"), 0, "", kLong),
                       doctest::Contains("it is not one of us"), PeerLost);
}

TEST_CASE("a driver that is gone is noticed") {
  const Driver driver([](const Guest& guest) { return Blobs{guest.hello()}; });
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
  const auto gather = [&] { Meeting(driver.address(), 0, "", 10_ms).all_gather(""); };
  CHECK_THROWS_WITH_AS(gather(), doctest::Contains("does not answer"), PeerLost);
}

TEST_CASE("what is no frame is no answer") {
  const std::string endless = "\xff\xff\xff\xff";
  const std::string part = Guest::length_of("0123456789") + "0123";
  for (const std::string& bytes :
       {framed(""), endless, framed("G" + endless), framed("G" + part), framed("Gxy"), framed("Cagain")}) {
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
