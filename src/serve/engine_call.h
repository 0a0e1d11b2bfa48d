#pragma once
// The bridge between a coroutine on a connection's strand and the engine's thread.

#include <boost/asio/awaitable.hpp>

#include "engine/engine.h"
#include "engine/generate.h"

namespace pagoda::serve {

// One request, to its end, without blocking a thread. Never ends before the engine is done with the request:
// when the coroutine is cancelled it cancels the request and waits for the engine to say so (at most two
// steps), so that nothing of a connection is left in the engine when the connection is gone. The answer's
// `finish` is kCancelled then. The refusals of Engine::submit come as its status. The calling coroutine's
// executor must be a strand.
boost::asio::awaitable<base::Result<engine::Completion>> complete(engine::Engine& engine,
                                                                  engine::Request request);

}  // namespace pagoda::serve
