#pragma once
// CHECK is for our own bugs: it prints where and aborts, in every build. User input never reaches one.

#include <cstdio>
#include <cstdlib>

namespace pagoda::base {
[[noreturn]] inline void check_failed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", file, line, condition);
  std::abort();
}
}  // namespace pagoda::base

#define CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::pagoda::base::check_failed(__FILE__, __LINE__, #condition))
// Costly invariants: checked in debug and sanitizer builds only.
#ifdef NDEBUG
#define DCHECK(condition) static_cast<void>(0)
#else
#define DCHECK(condition) CHECK(condition)
#endif
