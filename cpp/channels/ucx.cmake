# Only the headers of UCX are needed: its library is looked up when a rank starts.
find_path(UCX_INCLUDE_DIR ucp/api/ucp.h)
mark_as_advanced(UCX_INCLUDE_DIR)
if(UCX_INCLUDE_DIR)
  file(STRINGS ${UCX_INCLUDE_DIR}/ucp/api/ucp_version.h ucx_version_lines REGEX "^#define UCP_API_(MAJOR|MINOR)")
  string(REGEX REPLACE "[^0-9]+([0-9]+)[^0-9]+([0-9]+).*" "\\1.\\2" UCX_VERSION "${ucx_version_lines}")
endif()
if(NOT UCX_INCLUDE_DIR OR UCX_VERSION VERSION_LESS 1.13)
  message(STATUS "the ucx channel is left out: it needs the package libucx-dev, 1.13 or later")
  return()
endif()

add_library(channel_ucx STATIC ucx.cc ucx_caller.cc ucx_connection.cc ucx_context.cc ucx_control.cc ucx_library.cc
                               ucx_options.cc ucx_outgoing.cc ucx_server.cc ucx_worker.cc tcp_wire.cc)
target_include_directories(channel_ucx SYSTEM PUBLIC ${UCX_INCLUDE_DIR})
target_link_libraries(channel_ucx PUBLIC coalescing sockets nlohmann_json::nlohmann_json Threads::Threads
                                         ${CMAKE_DL_LIBS})
list(APPEND stacks ucx)
