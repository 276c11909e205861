// Stands before OpenSSL's functions that encrypt and decrypt (interpose_send.cc says how), where a program has OpenSSL
// as a shared library and gives it a socket: what is given to them is followed in place of what is sent.

#include <dlfcn.h>
#include <link.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "tap/log.h"
#include "tap/noting.h"

namespace tensorwire::tap {
namespace {

using Write = int(void*, const void*, int);
using WriteEx = int(void*, const void*, size_t, size_t*);
using Read = int(void*, void*, int);
using ReadEx = int(void*, void*, size_t, size_t*);
using Descriptor = int(const void*);

/// What the library has that a caller would have reached.
template <typename Function>
struct Found {
  Function* function = nullptr;
  Descriptor* descriptor = nullptr;
};

void* reached_by(const void* caller, const char* name) {
  if (void* global = dlsym(RTLD_NEXT, name)) return global;
  Dl_info about{};
  link_map* map = nullptr;
  if (dladdr1(caller, &about, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) == 0 || map == nullptr) return nullptr;
  void* object = dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD);
  if (object == nullptr) return nullptr;
  void* found = dlsym(object, name);
  dlclose(object);
  return found;
}

/// A caller that has its OpenSSL to itself, as Python's modules have, does not reach it by the global scope. The
/// functions are looked up once for each place in a program that calls.
template <typename Function>
class Openssl {
 public:
  explicit constexpr Openssl(const char* name) : name_(name) {}

  Found<Function> of(const void* caller) {
    for (Place& place : places_) {
      const void* known = place.caller.load(std::memory_order_acquire);
      if (known == caller) return place.found;
      if (known != nullptr) continue;
      const Found<Function> found = look_up(caller);
      const void* free = nullptr;
      if (place.taken.compare_exchange_strong(free, caller)) {
        place.found = found;
        place.caller.store(caller, std::memory_order_release);
      }
      return found;
    }
    return look_up(caller);
  }

 private:
  struct Place {
    std::atomic<const void*> taken{nullptr};
    std::atomic<const void*> caller{nullptr};
    Found<Function> found;
  };

  Found<Function> look_up(const void* caller) const {
    return {reinterpret_cast<Function*>(reached_by(caller, name_)),
            reinterpret_cast<Descriptor*>(reached_by(caller, "SSL_get_wfd"))};
  }

  const char* name_;
  std::array<Place, 16> places_{};
};

constinit Openssl<Write> next_write("SSL_write");
constinit Openssl<WriteEx> next_write_ex("SSL_write_ex");
constinit Openssl<Read> next_read("SSL_read");
constinit Openssl<ReadEx> next_read_ex("SSL_read_ex");

}  // namespace
}  // namespace tensorwire::tap

#pragma GCC visibility push(default)
extern "C" {

using namespace tensorwire::tap;

/// An end that only reads sends nothing but what belongs to TLS.
int SSL_read(void* ssl, void* bytes, int size) {
  const auto [next, descriptor] = next_read.of(__builtin_return_address(0));
  if (next == nullptr) return -1;
  if (descriptor != nullptr) note_encrypting(descriptor(ssl));
  return next(ssl, bytes, size);
}

int SSL_read_ex(void* ssl, void* bytes, size_t size, size_t* read) {
  const auto [next, descriptor] = next_read_ex.of(__builtin_return_address(0));
  if (next == nullptr) return 0;
  if (descriptor != nullptr) note_encrypting(descriptor(ssl));
  return next(ssl, bytes, size, read);
}

int SSL_write(void* ssl, const void* bytes, int size) {
  const auto [next, descriptor] = next_write.of(__builtin_return_address(0));
  if (next == nullptr) return -1;
  const int fd = descriptor == nullptr ? -1 : descriptor(ssl);
  note_encrypting(fd);
  const Began began(is_recorded(fd));
  const int taken = next(ssl, bytes, size);
  if (taken > 0) note_encrypted(fd, bytes, static_cast<size_t>(taken));
  return taken;
}

int SSL_write_ex(void* ssl, const void* bytes, size_t size, size_t* written) {
  const auto [next, descriptor] = next_write_ex.of(__builtin_return_address(0));
  if (next == nullptr) return 0;
  const int fd = descriptor == nullptr ? -1 : descriptor(ssl);
  note_encrypting(fd);
  const Began began(is_recorded(fd));
  const int done = next(ssl, bytes, size, written);
  if (done == 1) note_encrypted(fd, bytes, *written);
  return done;
}

}  // extern "C"
#pragma GCC visibility pop
