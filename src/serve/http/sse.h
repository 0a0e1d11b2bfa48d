#pragma once
// Server-sent events: the frame around each piece of a streamed answer (HTML standard, section 9.2).

#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>

#include "serve/http/http_message.h"

namespace pagoda::serve {

inline constexpr std::string_view kEventStream = "text/event-stream; charset=utf-8";

// `data` is one line, as JSON is.
inline std::string sse_event(std::string_view data) {
  std::string event("data: ");
  event.append(data).append("\n\n");
  return event;
}
// What an answer says that has nothing to say, so that no proxy takes it for dead.
inline std::string sse_ping() { return ": ping\n\n"; }
// The end of a stream, as OpenAI's clients know it.
inline std::string sse_done() { return sse_event("[DONE]"); }

}  // namespace pagoda::serve
