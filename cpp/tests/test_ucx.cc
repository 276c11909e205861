// What the ucx channel makes of payloads and of what UCX prints, and what its server does with strangers.
#include <doctest/doctest.h>

#include <functional>
#include <limits>
#include <memory>
#include <numeric>

#include "channels/coalescing.h"
#include "channels/open.h"
#include "channels/ucx_caller.h"
#include "channels/ucx_context.h"
#include "channels/ucx_control.h"
#include "channels/ucx_label.h"
#include "core/check.h"
#include "core/errors.h"

namespace tensorwire::ucx {
namespace {

using Numbers = std::vector<std::uint64_t>;

constexpr Nanoseconds kLong = 60_s;

std::vector<Numbers> carried(const Packing& packing) {
  std::vector<Numbers> all;
  for (const auto& message : packing.messages) all.emplace_back(message.buffers.begin(), message.buffers.end());
  return all;
}

TEST_CASE("a payload becomes one message, one for each buffer, or one of its small buffers and one for each other") {
  const Numbers sizes{10, 5000, 20, 100, 30};
  CHECK(carried(packing_of(sizes, Strategy::iov, 100)) == std::vector<Numbers>{{0, 1, 2, 3, 4}});
  CHECK(carried(packing_of(sizes, Strategy::per_buffer, 100)) == std::vector<Numbers>{{0}, {1}, {2}, {3}, {4}});
  CHECK(carried(packing_of(sizes, Strategy::coalesce, 100)) == std::vector<Numbers>{{0, 2, 4}, {1}, {3}});
}

TEST_CASE("nothing is packed together where there are not two that are small") {
  CHECK(carried(packing_of(Numbers{10, 5000}, Strategy::coalesce, 100)) == std::vector<Numbers>{{0}, {1}});
  CHECK(carried(packing_of(Numbers{200, 5000}, Strategy::coalesce, 100)) == std::vector<Numbers>{{0}, {1}});
  CHECK(carried(packing_of(Numbers{1, 2}, Strategy::coalesce, 0)) == std::vector<Numbers>{{0}, {1}});
}

TEST_CASE("a payload without buffers is one message without bytes") {
  for (const Strategy strategy : {Strategy::iov, Strategy::per_buffer, Strategy::coalesce}) {
    const Packing packing = packing_of({}, strategy, 100);
    REQUIRE(packing.messages.size() == 1);
    CHECK(packing.messages[0].size == 0);
    CHECK(packing.buffers.empty());
  }
}

TEST_CASE("messages do not overlap, and every buffer lies in its message after those before it") {
  const Numbers sizes{10, 5000, 20, 0, 100'000, 30, 7};
  for (const Strategy strategy : {Strategy::iov, Strategy::per_buffer, Strategy::coalesce}) {
    const Packing packing = packing_of(sizes, strategy, 64);
    std::uint64_t end = 0;
    for (const auto& message : packing.messages) {
      CHECK(message.offset >= end);
      end = message.offset + message.size;
      std::uint64_t at = 0;
      for (const std::uint32_t i : message.buffers) {
        CHECK(packing.buffers[i].offset == at);
        CHECK(packing.buffers[i].size == sizes[i]);
        at += sizes[i];
      }
      CHECK(at == message.size);
    }
    CHECK(packing.room == end);
  }
}

TEST_CASE("a packed message holds the bytes of its buffers in order") {
  const std::vector<Numbers> sizes{{3, 100, 5}};
  const PayloadSet set(sizes, Fill::random, 1);
  const Payload& payload = set.payloads()[0];
  const Packing packing = packing_of(sizes_of(payload), Strategy::coalesce, 50);
  std::vector<std::byte> packed(packing.messages[0].size);
  gather(packing.messages[0], payload, packed.data());
  REQUIRE(packed.size() == 8);
  CHECK(std::equal(packed.begin(), packed.begin() + 3, payload.buffers[0].begin()));
  CHECK(std::equal(packed.begin() + 3, packed.end(), payload.buffers[2].begin()));
}

TEST_CASE("a label comes out of its word as it went in, at its limits too") {
  for (const Label& label :
       {Label{}, Label{1, 2, true, Reply::recorded, 3, 4},
        Label{(1u << 14) - 1, (1u << 12) - 1, true, Reply::acknowledge, (1u << 18) - 1, (1u << 17) - 1},
        Label{.connection = 5, .place = 4095}}) {
    CHECK(Label::of(label.word()) == label);
  }
}

TEST_CASE("requests of one place match in what they tell, and in nothing else") {
  const auto first = [](const Label& label) { return label.word() & Label::kFirstOfPlace; };
  const Label one{7, 3, true, Reply::echo, 0, 0};
  CHECK(first({7, 3, true, Reply::recorded, 9, 9}) == first(one));
  CHECK(first({7, 4, true, Reply::echo, 0, 0}) != first(one));
  CHECK(first({8, 3, true, Reply::echo, 0, 0}) != first(one));
  CHECK(first({.connection = 7, .place = 3}) != first(one));
}

TEST_CASE("the transports of an endpoint are read from what UCX prints") {
  const Route route = read_route(
      "#\n# UCP endpoint \n#\n#               peer: <no debug data>\n"
      "#                 lane[0]:  0:sysv/memory.0 md[0]           -> md[0]/sysv/sysdev[255] am am_bw#0\n"
      "#                 lane[1]:  2:cma/memory.0 md[2]            -> md[2]/cma/sysdev[255] rma_bw#0\n#\n"
      "#                 am_send: 0..<egr/short>..93..<egr/bcopy>..8256..<rndv>..(inf)\n"
      "#            tag_send_nbr: 0..<egr/short>..93..<egr/bcopy>..262144..<rndv>..(inf)\n");
  CHECK(route.transports == std::set<std::string>{"cma", "sysv"});
  CHECK(route.devices == std::set<std::string>{"memory"});
  CHECK(route.protocols == "am_send: 0..<egr/short>..93..<egr/bcopy>..8256..<rndv>..(inf)");
  CHECK(in_words(route.transports) == "shm (cma, sysv)");
  CHECK(read_written(written(route)) == route);
}

TEST_CASE("newer versions print the same, and more") {
  const Route route = read_route(
      "#                 lane[0]:  1:tcp/lo.0 md[0]                -> md[0]/tcp/sysdev[255] seg 4294967295 rma_bw#0 "
      "am\n"
      "#                 lane[1]:  0:rc_mlx5/mlx5_0:1.0 md[0]      -> md[0]/ib/sysdev[0] seg 8256 rma_bw#1 wireup\n"
      "# |   1..8339 | eager zero-copy copy-out                        | tcp/lo                            |\n");
  CHECK(route.transports == std::set<std::string>{"rc_mlx5", "tcp"});
  CHECK(route.devices == std::set<std::string>{"lo", "mlx5_0:1"});
  CHECK(in_words(route.transports) == "rc_mlx5, tcp");
  CHECK(read_written(written(route)) == route);
}

TEST_CASE("what says nothing gives nothing") {
  CHECK(read_route("") == Route{});
  CHECK(read_route("lane[0]: \nlane[1]: nonsense\n") == Route{});
  CHECK(in_words({}).empty());
  CHECK(in_words({"posix", "tcp"}) == "shm (posix), tcp");
  CHECK(read_resources(
            "#            md 0  :  component 1  tcp \n#\n#      resource 0  :  md 0  dev 0  flags -- tcp/lo\n") ==
        std::set<std::string>{"tcp"});
}

TEST_CASE("a layout is read as it was written, and nothing else is") {
  const Layout layout{.lane = 3, .places = 8, .sizes = {{1, 2}, {}, {~std::uint64_t{0}}}};
  const auto read = Layout::read(layout.body());
  REQUIRE(read);
  CHECK(read->lane == 3);
  CHECK(read->places == 8);
  CHECK(read->sizes == layout.sizes);
  for (const std::string& body : {std::string(), std::string("short"), layout.body() + "x", number_body(1),
                                  layout.body() + number_body(1), layout.body() + number_body(~std::uint64_t{0})}) {
    CHECK(!Layout::read(body));
  }
}

/// The address that a channel brings to the rendezvous.
class Alone final : public Rendezvous {
 public:
  std::vector<std::string> all_gather(std::string_view blob) override {
    address = Address::read(std::string(blob));
    return {std::string(blob)};
  }
  Address address;
};

/// A rank that serves, and somebody who talks to it as he pleases.
class Served {
 public:
  Served() : channel_(open({.serves = true}, meeting_)) {}

  Control stranger() const { return Control(connect_to(meeting_.address.control, kLong)); }
  const std::string& worker() const { return meeting_.address.worker; }

  void check_serves() const {
    const std::vector<Numbers> sizes{{100}, {3, 5}};
    const PayloadSet set(sizes, Fill::random, 1);
    const std::uint32_t slots[] = {0};
    const auto caller = channel_->caller(slots);
    caller->prepare(set.payloads(), {});
    CHECK_NOTHROW(check(*caller, set.payloads(), {}, 1, kLong));
  }

 private:
  Alone meeting_;
  std::unique_ptr<Channel> channel_;
};

TEST_CASE("a server turns strangers away and goes on serving") {
  const Served served;
  const Control silent = served.stranger();
  const std::vector<std::function<void(Control&)>> openings{
      [](Control& one) { one.say(static_cast<Word>(0)); },
      [](Control& one) { one.say(Word::layout, Layout{}.body()); },
      [](Control& one) { one.say(Word::bye); },
      [](Control& one) { one.say(Word::welcome, number_body(0)); },
      [&](Control& one) {
        one.say(Word::hello, served.worker());
        one.hear(kLong);
        one.say(Word::hello, served.worker());
      },
      [&](Control& one) {
        one.say(Word::hello, served.worker());
        one.hear(kLong);
        one.say(Word::layout, "no layout");
      },
  };
  for (const auto& opening : openings) {
    Control stranger = served.stranger();
    opening(stranger);
    CHECK_THROWS_AS(stranger.hear(kLong), PeerLost);
  }
  served.check_serves();
}

TEST_CASE("payloads that there is no memory for are refused") {
  const Served served;
  const auto most = std::numeric_limits<std::uint64_t>::max();
  for (const Layout& layout : {Layout{.lane = 0, .places = 1, .sizes = {{std::uint64_t{1} << 50}}},
                               Layout{0, 1, {{most}}}, Layout{0, 1, {{1ull << 63, 1ull << 63}}},
                               Layout{0, 4096, {{1ull << 34}}}, Layout{0, most, {{1}}}, Layout{most, 1, {{1}}}}) {
    Control stranger = served.stranger();
    stranger.say(Word::hello, served.worker());
    REQUIRE(stranger.hear(kLong).word == Word::welcome);
    stranger.say(Word::layout, layout.body());
    CHECK(stranger.hear(kLong).word == Word::refused);
  }
  served.check_serves();
}

}  // namespace
}  // namespace tensorwire::ucx
