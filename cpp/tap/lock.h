// A lock that needs no system library, and can be forced open in the child of a fork.
#pragma once

#include <sched.h>

#include <atomic>

namespace tensorwire::tap {

class SpinLock {
 public:
  void lock() {
    while (held_.exchange(true, std::memory_order_acquire)) sched_yield();
  }
  void unlock() { held_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> held_{false};
};

}  // namespace tensorwire::tap
