#include <algorithm>
#include <vector>

#include "channels/null.h"

namespace tensorwire {
namespace {

class NullCaller final : public Caller {
 public:
  explicit NullCaller(std::uint32_t slots) : carried_(slots) { finished_.reserve(slots); }

  void prepare(std::span<const Payload> payloads) override { payloads_ = payloads; }

  void call(Call call) override {
    carried_[call.slot] = call.payload;
    finished_.push_back({call.slot, payloads_[call.payload].size});
  }

  std::size_t wait(std::span<Completion> done, Nanoseconds) override {
    const std::size_t n = std::min(done.size(), finished_.size());
    std::copy_n(finished_.end() - static_cast<std::ptrdiff_t>(n), n, done.begin());
    finished_.resize(finished_.size() - n);
    return n;
  }

  void reply(std::uint32_t slot, const Sink& sink) override {
    for (const Bytes buffer : payloads_[carried_[slot]].buffers) sink(buffer);
  }

 private:
  std::span<const Payload> payloads_;
  std::vector<std::uint32_t> carried_;
  std::vector<Completion> finished_;
};

}  // namespace

std::unique_ptr<Caller> null_caller(std::uint32_t slots) { return std::make_unique<NullCaller>(slots); }

}  // namespace tensorwire
