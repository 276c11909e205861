# gRPC goes into the rank statically, so that it can be copied to a host that has only libc.
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(GRPCPP QUIET grpc++ protobuf-lite)
endif()
find_program(PROTOC protoc)
if(NOT GRPCPP_FOUND OR NOT PROTOC)
  message(STATUS "the grpc channel is left out: it needs the packages libgrpc++-dev, libprotobuf-dev, "
                 "protobuf-compiler and pkg-config")
  return()
endif()

# The archives of everything that pkg-config names; glibc's own libraries and libatomic stay as they are.
set(grpc_libraries)
set(grpc_static ON)
set(grpc_named ${GRPCPP_STATIC_LIBRARIES})
list(REMOVE_DUPLICATES grpc_named)
list(REMOVE_ITEM grpc_named dl rt m pthread atomic)
foreach(name IN LISTS grpc_named)
  find_library(ARCHIVE_${name} NAMES lib${name}.a PATHS ${GRPCPP_STATIC_LIBRARY_DIRS})
  mark_as_advanced(ARCHIVE_${name})
  if(NOT ARCHIVE_${name})
    message(WARNING "there is no static lib${name}.a: gRPC is linked dynamically, and ranks need it installed")
    set(grpc_static OFF)
    break()
  endif()
  list(APPEND grpc_libraries ${ARCHIVE_${name}})
endforeach()

add_library(grpc_stack INTERFACE)
target_include_directories(grpc_stack SYSTEM INTERFACE ${GRPCPP_INCLUDE_DIRS})
if(grpc_static)
  target_link_libraries(grpc_stack INTERFACE -Wl,--start-group ${grpc_libraries} -Wl,--end-group Threads::Threads
                                             ${CMAKE_DL_LIBS})
else()
  target_link_libraries(grpc_stack INTERFACE ${GRPCPP_LINK_LIBRARIES} Threads::Threads)
endif()

set(payload_proto ${CMAKE_CURRENT_BINARY_DIR}/payload.pb)
add_custom_command(
  OUTPUT ${payload_proto}.cc ${payload_proto}.h
  COMMAND ${PROTOC} --cpp_out=${CMAKE_CURRENT_BINARY_DIR} --proto_path=${CMAKE_CURRENT_SOURCE_DIR} payload.proto
  DEPENDS payload.proto)
add_library(payload_proto STATIC ${payload_proto}.cc ${payload_proto}.h)
target_include_directories(payload_proto SYSTEM PUBLIC ${CMAKE_CURRENT_BINARY_DIR})
target_link_libraries(payload_proto PUBLIC grpc_stack)

add_library(channel_grpc STATIC grpc.cc grpc_caller.cc grpc_message.cc grpc_options.cc grpc_server.cc)
target_link_libraries(channel_grpc PUBLIC sockets payload_proto nlohmann_json::nlohmann_json)
list(APPEND stacks grpc)
