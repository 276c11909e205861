// The tap's log: a header of 4096 bytes, then records of multiples of 8 bytes, little endian. One file per process.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace tensorwire::tap {

static_assert(std::endian::native == std::endian::little, "the log is written as it lies in memory");

inline constexpr char kMagic[8] = {'T', 'W', 'T', 'A', 'P', '0', '0', '2'};
inline constexpr std::size_t kHeaderBytes = 4096;

struct Header {
  char magic[8];
  std::uint32_t pid;
  std::uint32_t parent_pid;
  std::uint64_t start_realtime_ns;
  std::uint64_t start_monotonic_ns;
  std::uint64_t capacity;  // bytes, with this header
  std::uint64_t used;      // bytes over which all records are whole, with this header
  std::uint64_t dropped;   // records that did not fit
  std::uint32_t enabled;   // whoever writes 0 here pauses the recording; any other number than before lets it go on
  std::uint32_t timed;     // whoever writes 1 here has the tap take its own time
  char program[256];
  char told[1024];       // lines NAME=VALUE of what the environment tells of the process's place in the job
  char arguments[2048];  // the start of its command line, each ended by 0
  std::uint64_t sent;    // bytes that the kernel took, also while the recording is paused
  std::uint64_t
      own_ns;  // what the tap took in `own_calls` calls while it was timed, with one reading of the clock each
  std::uint64_t own_calls;
  std::uint64_t clock_ps;  // what a reading of the clock takes
};
static_assert(sizeof(Header) == 3424 && sizeof(Header) <= kHeaderBytes);

/// A gap stands where the recording of a connection goes on after a pause; plain is what was given to OpenSSL to send,
/// in the form of a send.
enum class Type : std::uint32_t { open = 1, close, send, receive, headers, message, mark, protocol, gap, plain };

struct Record {
  Type type;
  std::uint32_t length;  // with this
  std::uint64_t at_ns;   // CLOCK_MONOTONIC
  std::uint32_t connection;
  std::uint32_t thread;
};
static_assert(sizeof(Record) == 24);

enum class How : std::uint32_t { connect = 1, accept, other };

struct Open {
  How how;
  std::uint32_t family;
  std::uint16_t local_port;
  std::uint16_t peer_port;
  std::uint8_t local_address[16];
  std::uint8_t peer_address[16];
  std::uint32_t pad;
};
static_assert(sizeof(Open) == 48);

struct Send {
  std::uint64_t bytes;  // that the kernel took
  std::uint32_t buffers;
  std::uint32_t pad;
};  // sizes follow

struct Headers {
  std::uint32_t stream;
  std::uint32_t flags;  // 4: the block ends here
  std::uint32_t fragment_bytes;
  std::uint32_t pad;
};  // the fragment follows

inline constexpr std::uint32_t kCompressed = 1;
inline constexpr std::uint32_t kSlicesCut = 2;  // more slices than are kept: the last is all the rest

struct Message {
  std::uint32_t stream;
  std::uint32_t flags;
  std::uint64_t bytes;
  std::uint32_t slices;
  std::uint32_t what;  // over `tcp` the kind of call (1 echo, 2 acknowledge, 4 recorded), over gloo the operation
};  // sizes follow

/// Decrypted: from here on messages are those of the plain text.
enum class Protocol : std::uint32_t {
  unknown,
  raw,
  http2_client,
  http2_server,
  tls,
  tcp_caller,
  tcp_server,
  gloo,
  decrypted,
};

struct Detected {
  Protocol protocol;
  std::uint32_t pad;
  std::uint64_t unread;  // raw: of the bytes sent until now, so many at their end are in no message
};

}  // namespace tensorwire::tap
