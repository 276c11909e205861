// The function behind the one that stands before it.
#pragma once

#include <dlfcn.h>
#include <errno.h>

#include <atomic>
#include <type_traits>

namespace tensorwire::tap {

/// The next definition of a function: the C library's, or that of another library that stands before it. Where there
/// is none, the call fails with ENOSYS.
template <typename Function>
class Next {
 public:
  explicit constexpr Next(const char* name) : name_(name) {}
  template <typename... Arguments>
  auto operator()(Arguments... arguments) {
    Function* function = found_.load(std::memory_order_relaxed);
    if (function == nullptr) {
      function = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name_));
      found_.store(function, std::memory_order_relaxed);
    }
    using Result = decltype(function(arguments...));
    if (function != nullptr) return function(arguments...);
    errno = ENOSYS;
    if constexpr (!std::is_void_v<Result>) return static_cast<Result>(-1);
  }

 private:
  const char* name_;
  std::atomic<Function*> found_{nullptr};
};

}  // namespace tensorwire::tap
