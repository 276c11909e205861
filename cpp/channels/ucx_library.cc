#include "channels/ucx_library.h"

#include <dlfcn.h>

#include "core/errors.h"

namespace tensorwire::ucx {
namespace {

constexpr const char* kAuto = "auto";
constexpr const char* kSystem = "libucp.so.0";
constexpr const char* kRemedy =
    "apt-get install libucx0, or pip install libucx-cu12 and use -o library=pypi, or name a libucp.so with -o "
    "library=PATH";

void* load(const std::string& name) {
  if (void* handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)) return handle;
  throw ChannelUnavailable("channel ucx cannot load UCX: " + std::string(dlerror()) + "; " + kRemedy);
}

template <class Function>
void find(void* handle, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(handle, name));
  if (function == nullptr) {
    throw ChannelUnavailable("the library that channel ucx was given has no " + std::string(name) +
                             ", so it is not UCX, or too old; " + kRemedy);
  }
}

void find_all(void* handle, Functions& f) {
  find(handle, "ucp_get_version", f.get_version);
  find(handle, "ucp_get_version_string", f.get_version_string);
  find(handle, "ucp_config_read", f.config_read);
  find(handle, "ucp_config_modify", f.config_modify);
  find(handle, "ucp_config_release", f.config_release);
  find(handle, "ucp_init_version", f.init_version);
  find(handle, "ucp_cleanup", f.cleanup);
  find(handle, "ucp_context_print_info", f.context_print_info);
  find(handle, "ucp_mem_map", f.mem_map);
  find(handle, "ucp_mem_unmap", f.mem_unmap);
  find(handle, "ucp_worker_create", f.worker_create);
  find(handle, "ucp_worker_destroy", f.worker_destroy);
  find(handle, "ucp_worker_get_address", f.worker_get_address);
  find(handle, "ucp_worker_release_address", f.worker_release_address);
  find(handle, "ucp_worker_progress", f.worker_progress);
  find(handle, "ucp_worker_get_efd", f.worker_get_efd);
  find(handle, "ucp_worker_arm", f.worker_arm);
  find(handle, "ucp_worker_set_am_recv_handler", f.worker_set_am_recv_handler);
  find(handle, "ucp_ep_create", f.ep_create);
  find(handle, "ucp_ep_close_nbx", f.ep_close_nbx);
  find(handle, "ucp_ep_flush_nbx", f.ep_flush_nbx);
  find(handle, "ucp_ep_print_info", f.ep_print_info);
  find(handle, "ucp_am_send_nbx", f.am_send_nbx);
  find(handle, "ucp_am_recv_data_nbx", f.am_recv_data_nbx);
  find(handle, "ucp_am_data_release", f.am_data_release);
  find(handle, "ucp_tag_send_nbx", f.tag_send_nbx);
  find(handle, "ucp_tag_recv_nbx", f.tag_recv_nbx);
  find(handle, "ucp_request_cancel", f.request_cancel);
  find(handle, "ucp_request_check_status", f.request_check_status);
  find(handle, "ucp_request_free", f.request_free);
  find(handle, "ucs_status_string", f.status_string);
}

/// Where the loader found what a function is in.
std::string path_of(const void* function, const std::string& otherwise) {
  Dl_info info{};
  return dladdr(function, &info) != 0 && info.dli_fname != nullptr ? info.dli_fname : otherwise;
}

}  // namespace

Library::Library(const std::string& asked) {
  const std::string name = asked == kAuto ? kSystem : asked;
  void* handle = load(name);
  // First the version: of a library that is too old this tells more than which function it lacks.
  find(handle, "ucp_get_version", functions_.get_version);
  path_ = path_of(reinterpret_cast<const void*>(functions_.get_version), name);
  check_version();
  find_all(handle, functions_);
  version_ = functions_.get_version_string();
}

/// UCX keeps what it has within a major version, and adds to it.
void Library::check_version() {
  unsigned major = 0;
  unsigned release = 0;
  functions_.get_version(&major, &minor_, &release);
  if (major == UCP_API_MAJOR && minor_ >= UCP_API_MINOR) return;
  const std::string found = std::to_string(major) + "." + std::to_string(minor_) + "." + std::to_string(release);
  throw ChannelUnavailable(
      "channel ucx was built against UCX " + built_against() + ", and " + path_ + " is UCX " + found + "; use one of " +
      std::to_string(UCP_API_MAJOR) + "." + std::to_string(UCP_API_MINOR) +
      " or later of the same major version (-o library=PATH), or install tensorwire again with its headers");
}

std::string built_against() { return std::to_string(UCP_API_MAJOR) + "." + std::to_string(UCP_API_MINOR); }

}  // namespace tensorwire::ucx
