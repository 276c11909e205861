// libucp, looked up when a rank starts: the program needs none to be there, and takes the one that it is told to.
#pragma once

#include <ucp/api/ucp.h>

#include <string>

namespace tensorwire::ucx {

/// The functions that are used here, as the library that was loaded has them.
struct Functions {
  decltype(&ucp_get_version) get_version;
  decltype(&ucp_get_version_string) get_version_string;
  decltype(&ucp_config_read) config_read;
  decltype(&ucp_config_modify) config_modify;
  decltype(&ucp_config_release) config_release;
  decltype(&ucp_init_version) init_version;
  decltype(&ucp_cleanup) cleanup;
  decltype(&ucp_context_print_info) context_print_info;
  decltype(&ucp_mem_map) mem_map;
  decltype(&ucp_mem_unmap) mem_unmap;
  decltype(&ucp_worker_create) worker_create;
  decltype(&ucp_worker_destroy) worker_destroy;
  decltype(&ucp_worker_get_address) worker_get_address;
  decltype(&ucp_worker_release_address) worker_release_address;
  decltype(&ucp_worker_progress) worker_progress;
  decltype(&ucp_worker_get_efd) worker_get_efd;
  decltype(&ucp_worker_arm) worker_arm;
  decltype(&ucp_worker_set_am_recv_handler) worker_set_am_recv_handler;
  decltype(&ucp_ep_create) ep_create;
  decltype(&ucp_ep_close_nbx) ep_close_nbx;
  decltype(&ucp_ep_flush_nbx) ep_flush_nbx;
  decltype(&ucp_ep_print_info) ep_print_info;
  decltype(&ucp_am_send_nbx) am_send_nbx;
  decltype(&ucp_am_recv_data_nbx) am_recv_data_nbx;
  decltype(&ucp_am_data_release) am_data_release;
  decltype(&ucp_tag_send_nbx) tag_send_nbx;
  decltype(&ucp_tag_recv_nbx) tag_recv_nbx;
  decltype(&ucp_request_cancel) request_cancel;
  decltype(&ucp_request_check_status) request_check_status;
  decltype(&ucp_request_free) request_free;
  decltype(&ucs_status_string) status_string;
};

/// A library that stays loaded until the process ends.
class Library {
 public:
  /// `asked` is a path, or "auto" for the system's. Throws ChannelUnavailable for a library that is not there, is not
  /// libucp, or is older than what this was built against.
  explicit Library(const std::string& asked);

  const Functions* operator->() const { return &functions_; }
  const std::string& version() const { return version_; }
  unsigned minor_version() const { return minor_; }
  const std::string& path() const { return path_; }

 private:
  void check_version();

  Functions functions_{};
  std::string version_;
  unsigned minor_ = 0;
  std::string path_;
};

/// The version of the headers.
std::string built_against();

}  // namespace tensorwire::ucx
