#include "channels/ucx_options.h"

#include <unistd.h>

#include <map>
#include <string_view>

#include "channels/socket.h"
#include "core/errors.h"

namespace tensorwire::ucx {
namespace {

constexpr const char* kAuto = "auto";

const std::map<std::string, Api> kApis{{"am", Api::active_messages}, {"tag", Api::tags}};
const std::map<std::string, Strategy> kStrategies{
    {"iov", Strategy::iov}, {"per-buffer", Strategy::per_buffer}, {"coalesce", Strategy::coalesce}};

template <class Value>
Value chosen(const std::string& option, const std::string& name, const std::map<std::string, Value>& known) {
  if (const auto found = known.find(name); found != known.end()) return found->second;
  std::string names;
  for (const auto& [each, _] : known) names += (names.empty() ? "" : ", ") + each;
  throw ChannelError(option + " is '" + name + "', but must be one of " + names);
}

template <class Value>
std::string name_of(Value value, const std::map<std::string, Value>& known) {
  for (const auto& [name, each] : known) {
    if (each == value) return name;
  }
  return {};
}

std::optional<std::uint64_t> threshold(const nlohmann::json& given) {
  const auto found = given.find("rndv_threshold");
  if (found == given.end() || !found->is_number()) return std::nullopt;
  return found->get<std::uint64_t>();
}

/// What the environment tells UCX beside this: it changes what is measured.
std::string told_by_environment() {
  std::string told;
  for (char** each = environ; each != nullptr && *each != nullptr; ++each) {
    if (!std::string_view(*each).starts_with("UCX_")) continue;
    if (!told.empty()) told += " ";
    told += *each;
  }
  return told.empty() ? "none" : told;
}

}  // namespace

Options::Options(const nlohmann::json& given)
    : library(given.value("library", kAuto)),
      transport(given.value("transport", kAuto)),
      devices(given.value("devices", kAuto)),
      api(chosen("api", given.value("api", "am"), kApis)),
      strategy(chosen("strategy", given.value("strategy", "coalesce"), kStrategies)),
      coalesce_below(given.value("coalesce_below", std::uint64_t{64} << 10)),
      rndv_threshold(threshold(given)),
      seg_size(given.value("seg_size", std::uint64_t{256} << 10)) {}

bool Options::may_use_tcp() const { return transport == kAuto || transport.find("tcp") != std::string::npos; }

std::vector<std::pair<std::string, std::string>> Options::configuration(const std::string& host) const {
  std::vector<std::pair<std::string, std::string>> told;
  if (transport != kAuto) told.emplace_back("TLS", transport);
  if (devices != kAuto) {
    told.emplace_back("NET_DEVICES", devices);
  } else if (const auto interface = interface_of(host); interface && transport == "tcp") {
    told.emplace_back("NET_DEVICES", *interface);  // UCX would spread large messages over all interfaces
  }
  if (rndv_threshold) told.emplace_back("RNDV_THRESH", std::to_string(*rndv_threshold));
  if (may_use_tcp()) {
    told.emplace_back("TCP_TX_SEG_SIZE", std::to_string(seg_size));
    told.emplace_back("TCP_RX_SEG_SIZE", std::to_string(seg_size));
  }
  return told;
}

Settings Options::settings() const {
  return {{"asked_transport", transport},
          {"asked_devices", devices},
          {"api", name_of(api, kApis)},
          {"strategy", name_of(strategy, kStrategies)},
          {"coalesce_below", std::to_string(coalesce_below)},
          {"rndv_threshold", rndv_threshold ? std::to_string(*rndv_threshold) : kAuto},
          {"seg_size", may_use_tcp() ? std::to_string(seg_size) : "not applicable"},
          {"ucx_environment", told_by_environment()}};
}

}  // namespace tensorwire::ucx
