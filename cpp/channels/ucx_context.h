// UCX as one channel has it: a context that the workers of its threads share, and what it says of itself.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>

#include "channels/open.h"
#include "channels/ucx_library.h"
#include "channels/ucx_options.h"

namespace tensorwire::ucx {

/// How an endpoint reaches its peer, as UCX prints it.
struct Route {
  std::set<std::string> transports;  // such as posix, cma or tcp
  std::set<std::string> devices;     // such as memory or lo
  std::string protocols;             // from which sizes on it sends how; empty where it does not say

  void add(const Route& other);
  bool operator==(const Route&) const = default;
};

/// Reads what ucp_ep_print_info prints.
Route read_route(const std::string& printed);

/// A route as one end tells it to the other.
std::string written(const Route& route);
Route read_written(const std::string& text);

/// The transports in what ucp_context_print_info prints.
std::set<std::string> read_resources(const std::string& printed);

/// The transports in a few words: those of shared memory together, as in "shm (cma, posix), tcp".
std::string in_words(const std::set<std::string>& transports);

class Context {
 public:
  /// Throws ChannelUnavailable for a library that cannot be used, or when it has not got what it is asked for.
  Context(const Options& options, const Opening& opening);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const Library& library() const { return library_; }
  const Options& options() const { return options_; }
  ucp_context_h handle() const { return handle_; }
  bool spins() const { return spin_; }

  /// What `print` writes to a file that it is given.
  static std::string printed(const std::function<void(std::FILE*)>& print);

 private:
  using Configuration = std::unique_ptr<ucp_config_t, decltype(&ucp_config_release)>;
  Configuration configuration() const;
  void configure(ucp_config_t* into, const std::string& name, const std::string& value) const;
  ucs_status_t make(ucp_config_t* from, ucp_context_h& made) const;
  bool has(const std::string& transport) const;
  void check_transports() const;
  std::string available() const;

  const Options options_;
  const Library library_;
  const bool spin_;
  ucp_context_h handle_ = nullptr;
};

/// Memory that UCX was told of before it moves any of it.
class Mapping {
 public:
  /// Throws ChannelError when the memory cannot be registered.
  Mapping(std::shared_ptr<const Context> context, std::span<const std::byte> memory);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

 private:
  std::shared_ptr<const Context> context_;
  ucp_mem_h handle_ = nullptr;
};

}  // namespace tensorwire::ucx
