#include "channels/mpi_options.h"

#include <map>
#include <string_view>

#include "channels/mpi_joining.h"
#include "core/errors.h"

namespace tensorwire::mpi {
namespace {

const std::map<std::string, Strategy> kStrategies{
    {"iov", Strategy::iov}, {"per-buffer", Strategy::per_buffer}, {"coalesce", Strategy::coalesce}};

Strategy strategy_of(const std::string& name) {
  if (const auto found = kStrategies.find(name); found != kStrategies.end()) return found->second;
  throw ChannelError("strategy is '" + name + "', but must be one of coalesce, iov, per-buffer");
}

bool is_persistent(const nlohmann::json& given) {
  const auto asked = given.find("persistent");
  if (asked != given.end() && asked->is_boolean()) return asked->get<bool>();
  return std::string_view(implementation()) != "openmpi";  // which has a shorter way for small messages it learns anew
}

std::string name_of(Strategy strategy) {
  for (const auto& [name, each] : kStrategies) {
    if (each == strategy) return name;
  }
  return {};
}

}  // namespace

Options::Options(const nlohmann::json& given)
    : transport(given.value("transport", "auto")),
      strategy(strategy_of(given.value("strategy", "coalesce"))),
      coalesce_below(given.value("coalesce_below", std::uint64_t{64} << 10)),
      one_sided(given.value("one_sided", false)),
      persistent(is_persistent(given)) {}

Settings Options::settings() const {
  return {{"strategy", name_of(strategy)},
          {"coalesce_below", std::to_string(coalesce_below)},
          {"one_sided", one_sided ? "true" : "false"},
          {"persistent", persistent ? "true" : "false"}};
}

}  // namespace tensorwire::mpi
