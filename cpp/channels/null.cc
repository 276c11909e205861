#include "channels/null.h"

#include "channels/open.h"

namespace tensorwire {
namespace {

class NullChannel final : public Channel {
 public:
  std::unique_ptr<Caller> caller(std::span<const std::uint32_t> slots) override {
    return null_caller(static_cast<std::uint32_t>(slots.size()));
  }
  void answer_with(std::span<const Payload>) override {}
  Served served() const override { return {}; }
  Settings settings() const override { return {{"transport", "none"}, {"collective", "none"}}; }
  std::unique_ptr<Caller> collective(const Collective&) override { return null_caller(1); }
};

}  // namespace

std::unique_ptr<Channel> open(const Opening&, Rendezvous&) { return std::make_unique<NullChannel>(); }

}  // namespace tensorwire
