#include "rank/usage.h"

#include <sys/resource.h>

#include <fstream>

namespace tensorwire {
namespace {

Nanoseconds in_ns(const timeval& time) { return time.tv_sec * 1_s + time.tv_usec * 1000; }

bool read_counter(const std::string& interface, const std::string& name, std::uint64_t& value) {
  return static_cast<bool>(std::ifstream("/sys/class/net/" + interface + "/statistics/" + name) >> value);
}

std::optional<Wire> read_wire(const std::string& interface) {
  Wire wire;
  const bool all =
      read_counter(interface, "tx_bytes", wire.tx_bytes) && read_counter(interface, "rx_bytes", wire.rx_bytes) &&
      read_counter(interface, "tx_packets", wire.tx_packets) && read_counter(interface, "rx_packets", wire.rx_packets);
  return all ? std::optional(wire) : std::nullopt;
}

/// The kernel forgets the peak when 5 is written here, so that each stretch has its own.
void reset_peak_memory() { std::ofstream("/proc/self/clear_refs") << "5"; }

std::uint64_t peak_memory_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::uint64_t kibibytes = 0;
    if (word == "VmHWM:" && status >> kibibytes) return kibibytes * 1024;
  }
  return 0;
}

}  // namespace

void Meter::start() {
  reset_peak_memory();
  begin_ = read();
}

nlohmann::json Meter::stop() const {
  const Reading end = read();
  nlohmann::json used = {{"usage",
                          {{"window_ns", end.at - begin_.at},
                           {"user_ns", end.user - begin_.user},
                           {"system_ns", end.system - begin_.system},
                           {"peak_memory_bytes", peak_memory_bytes()},
                           {"voluntary_switches", end.voluntary - begin_.voluntary},
                           {"involuntary_switches", end.involuntary - begin_.involuntary}}},
                         {"wire", nullptr}};
  if (begin_.wire && end.wire) {
    used["wire"] = {{"interface", *interface_},
                    {"tx_bytes", end.wire->tx_bytes - begin_.wire->tx_bytes},
                    {"rx_bytes", end.wire->rx_bytes - begin_.wire->rx_bytes},
                    {"tx_packets", end.wire->tx_packets - begin_.wire->tx_packets},
                    {"rx_packets", end.wire->rx_packets - begin_.wire->rx_packets}};
  }
  return used;
}

Meter::Reading Meter::read() const {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {.at = SteadyClock().now(),
          .user = in_ns(usage.ru_utime),
          .system = in_ns(usage.ru_stime),
          .voluntary = usage.ru_nvcsw,
          .involuntary = usage.ru_nivcsw,
          .wire = interface_ ? read_wire(*interface_) : std::nullopt};
}

}  // namespace tensorwire
