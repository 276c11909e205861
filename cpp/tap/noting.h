// What every function that stands before one of the C library's does with what it saw. None of it changes errno.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

#include "tap/connections.h"

namespace tensorwire::tap {

/// Of this process. Both are there before any constructor runs.
extern constinit Log the_log;
extern constinit Connections connections;

/// Whether what is sent through the descriptor is recorded.
bool is_recorded(int fd);

void note_open(int fd, How how);
void note_forget(int fd);
void note_forget(int first, int last);
void note_share(int from, int to);

void note_sent(int fd, const iovec* buffers, std::size_t count, ssize_t taken);
void note_sent(int fd, const void* bytes, std::size_t size, ssize_t taken);
void note_sent_unseen(int fd, ssize_t taken);

/// What is given to OpenSSL: before, so that what it sends is known to be encrypted, and after.
void note_encrypting(int fd);
void note_encrypted(int fd, const void* bytes, std::size_t size);

/// Returns the number of bytes, as it came.
ssize_t note_received(int fd, ssize_t bytes, int flags = 0);

/// The sockets that came with a message are this process's from now on.
void note_passed(const msghdr& message);

void note_mark(std::uint64_t value);

}  // namespace tensorwire::tap
