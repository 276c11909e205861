#include "channels/ucx_context.h"

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string_view>
#include <utility>

#include "channels/ucx_worker.h"
#include "core/errors.h"

namespace tensorwire::ucx {
namespace {

const std::set<std::string> kSharedMemory{"cma", "knem", "mm", "posix", "sysv", "xpmem"};

std::string joined(const std::set<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : ", ") + word;
  return all;
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream rest(text);
  for (std::string part; std::getline(rest, part, at);) parts.push_back(part);
  return parts;
}

std::string trimmed(const std::string& line) {
  const std::size_t begin = line.find_first_not_of("# ");
  return begin == std::string::npos ? "" : line.substr(begin);
}

/// "4:posix/memory.0" is transport posix on the first path of device memory.
void read_lane(const std::string& lane, Route& route) {
  const std::size_t slash = lane.find('/');
  const std::size_t colon = lane.find(':');
  if (slash == std::string::npos || colon == std::string::npos || colon > slash) return;
  route.transports.insert(lane.substr(colon + 1, slash - colon - 1));
  route.devices.insert(lane.substr(slash + 1, lane.rfind('.') - slash - 1));
}

}  // namespace

void Route::add(const Route& other) {
  transports.insert(other.transports.begin(), other.transports.end());
  devices.insert(other.devices.begin(), other.devices.end());
  if (protocols.empty()) protocols = other.protocols;
}

Route read_route(const std::string& printed) {
  Route route;
  for (const std::string& line : split(printed, '\n')) {
    const std::string text = trimmed(line);
    if (text.starts_with("lane[")) {
      std::istringstream words(text.substr(text.find(':') + 1));
      std::string lane;
      words >> lane;
      read_lane(lane, route);
    } else if (text.starts_with("am_send:") || text.starts_with("tag_send:")) {
      route.protocols += (route.protocols.empty() ? "" : "; ") + text;
    }
  }
  return route;
}

std::string written(const Route& route) {
  return joined(route.transports) + "\n" + joined(route.devices) + "\n" + route.protocols;
}

Route read_written(const std::string& text) {
  std::vector<std::string> lines = split(text, '\n');
  lines.resize(3);
  const auto words = [](const std::string& line) {
    std::set<std::string> all;
    for (const std::string& word : split(line, ',')) all.insert(trimmed(word));
    return all;
  };
  return {.transports = words(lines[0]), .devices = words(lines[1]), .protocols = lines[2]};
}

std::set<std::string> read_resources(const std::string& printed) {
  std::set<std::string> transports;
  for (const std::string& line : split(printed, '\n')) {
    const std::size_t at = line.find("-- ");
    const std::size_t slash = line.find('/', at);
    if (line.find("resource") == std::string::npos || at == std::string::npos || slash == std::string::npos) continue;
    transports.insert(line.substr(at + 3, slash - at - 3));
  }
  return transports;
}

std::string in_words(const std::set<std::string>& transports) {
  std::set<std::string> shared;
  std::set<std::string> others;
  for (const std::string& each : transports) (kSharedMemory.contains(each) ? shared : others).insert(each);
  if (shared.empty()) return joined(others);
  return "shm (" + joined(shared) + ")" + (others.empty() ? "" : ", " + joined(others));
}

Context::Context(const Options& options, const Opening& opening)
    : options_(options), library_(options.library), spin_(opening.spin) {
  if (options_.transport != "auto") check_transports();
  const Configuration told = configuration();
  for (const auto& [name, value] : options_.configuration(opening.host)) configure(told.get(), name, value);
  const ucs_status_t status = make(told.get(), handle_);
  if (status == UCS_OK) return;
  throw ChannelUnavailable("UCX " + library_.version() + " cannot be set up with transport " + options_.transport +
                           " and devices " + options_.devices + ": " + library_->status_string(status) + "; it has " +
                           available());
}

Context::~Context() {
  if (handle_ != nullptr) library_->cleanup(handle_);
}

std::string Context::printed(const std::function<void(std::FILE*)>& print) {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* file = open_memstream(&text, &size);
  if (file == nullptr) return {};
  print(file);
  std::fclose(file);
  const std::unique_ptr<char, decltype(&std::free)> owner(text, &std::free);
  return {text, size};
}

Context::Configuration Context::configuration() const {
  ucp_config_t* read = nullptr;
  if (const ucs_status_t status = library_->config_read(nullptr, nullptr, &read); status != UCS_OK) {
    throw ChannelError("UCX cannot read its UCX_ environment: " + std::string(library_->status_string(status)));
  }
  return {read, library_->config_release};
}

/// Until 1.17, UCX had the settings of its transports without the name of the transport in front, and only warned of
/// what it did not know.
void Context::configure(ucp_config_t* into, const std::string& name, const std::string& value) const {
  constexpr std::string_view tcp = "TCP_";
  const bool strip = name.starts_with(tcp) && library_.minor_version() < 17;
  const std::string known = strip ? name.substr(tcp.size()) : name;
  if (library_->config_modify(into, known.c_str(), value.c_str()) == UCS_OK) return;
  throw ChannelError("UCX " + library_.version() + " does not take " + value + " for its UCX_" + name);
}

ucs_status_t Context::make(ucp_config_t* from, ucp_context_h& made) const {
  ucp_params_t parameters{};
  parameters.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_MT_WORKERS_SHARED | UCP_PARAM_FIELD_REQUEST_SIZE;
  parameters.features = options_.api == Api::active_messages ? UCP_FEATURE_AM : UCP_FEATURE_TAG;
  if (!spin_) parameters.features |= UCP_FEATURE_WAKEUP;
  parameters.mt_workers_shared = 1;
  parameters.request_size = sizeof(Notes);
  return library_->init_version(UCP_API_MAJOR, UCP_API_MINOR, &parameters, from, &made);
}

/// Whether UCX finds anything under a name, which may stand for several: it knows what.
bool Context::has(const std::string& transport) const {
  const Configuration told = configuration();
  configure(told.get(), "TLS", transport);
  ucp_context_h found = nullptr;
  if (make(told.get(), found) != UCS_OK) return false;
  library_->cleanup(found);
  return true;
}

/// UCX itself only warns of a transport that it has not got, as long as it has another.
void Context::check_transports() const {
  for (const std::string& name : split(options_.transport, ',')) {
    if (name.starts_with('^') || has(name)) continue;
    throw ChannelUnavailable("UCX " + library_.version() + " has no transport " + name + " here; it has " +
                             available() + " (-o transport=...)");
  }
}

std::string Context::available() const {
  const Configuration told = configuration();
  configure(told.get(), "TLS", "all");
  ucp_context_h all = nullptr;
  if (make(told.get(), all) != UCS_OK) return "none";
  const std::string text = printed([&](std::FILE* file) { library_->context_print_info(all, file); });
  library_->cleanup(all);
  return joined(read_resources(text));
}

Mapping::Mapping(std::shared_ptr<const Context> context, std::span<const std::byte> memory)
    : context_(std::move(context)) {
  if (memory.empty()) return;
  ucp_mem_map_params_t parameters{};
  parameters.field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS | UCP_MEM_MAP_PARAM_FIELD_LENGTH;
  parameters.address = const_cast<std::byte*>(memory.data());
  parameters.length = memory.size();
  const Library& library = context_->library();
  if (const ucs_status_t status = library->mem_map(context_->handle(), &parameters, &handle_); status != UCS_OK) {
    throw ChannelError("UCX cannot register " + std::to_string(memory.size()) + " B of memory: " +
                       library->status_string(status) + "; raise the limit with: ulimit -l unlimited");
  }
}

Mapping::~Mapping() {
  if (handle_ != nullptr) context_->library()->mem_unmap(context_->handle(), handle_);
}

}  // namespace tensorwire::ucx
