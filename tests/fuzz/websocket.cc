// What a client sends behind a good handshake with /ws: frames through the session, Beast's frame reader, the
// conversation, its JSON and translation jobs, with a real engine of random weights whose model is so short
// that answers have a few tokens. The server speaks frames of text or of control, and JSON in them; the
// engine is free again afterwards. Not covered: timeouts, pings of the server.

#include <boost/json/parse.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>

#include "kernels/ops.h"
#include "over_socket.h"
#include "serve/websocket_route.h"

namespace {

using namespace pagoda;

std::unique_ptr<engine::Engine> short_engine() {
  auto tokenizer = text::Tokenizer::load(std::string(PAGODA_SOURCE_DIR) + "/tests/data/tokenizer/hy.json");
  CHECK(tokenizer.ok());
  auto chat_template = text::ChatTemplate::detect(tokenizer.value());
  CHECK(chat_template.ok());
  model::DenseShape shape;
  shape.vocab_size = tokenizer->vocab_size();
  shape.hidden_size = 16;
  shape.intermediate_size = 16;
  shape.num_layers = 1;
  shape.num_heads = 1;
  shape.num_kv_heads = 1;
  shape.head_dim = 16;
  engine::EngineOptions options;
  options.max_waiting = 2;
  options.runner.max_num_seqs = 2;
  options.runner.max_num_batched_tokens = 128;
  options.runner.max_model_len = 128;
  options.runner.num_kv_blocks = 32;
  kernels::CpuOptions cpu;
  cpu.threads = 1;
  auto runner = execute::Runner::random(shape, {kernels::WeightFormat::kBF16, kernels::WeightFormat::kBF16},
                                        kernels::make_cpu_ops(cpu), options.runner);
  CHECK(runner.ok());
  return std::make_unique<engine::Engine>(std::move(runner).value(), std::move(tokenizer).value(),
                                          std::move(chat_template).value(), options);
}

struct World {
  World()
      : engine(short_engine()),
        translator(*engine, {}),
        metrics("none"),
        door({}, metrics),
        service{*engine, translator, metrics, door.keys(), door.gate(), "tiny", "0", 0, {}, false, false},
        client(door) {
    auto router = std::make_shared<serve::Router>();
    serve::add_websocket_route(*router, service);
    door.open(std::move(router));
  }
  std::unique_ptr<engine::Engine> engine;
  translate::Translator translator;
  serve::Metrics metrics;
  serve::FrontDoor door;
  serve::Service service;
  fuzz::OverSocket client;
};

// Frames of a server: not masked, not in pieces, of text (JSON) or of control.
void check_frames(std::string_view bytes) {
  while (bytes.size() >= 2) {
    const auto first = static_cast<unsigned char>(bytes[0]), second = static_cast<unsigned char>(bytes[1]);
    CHECK((first & 0xF0) == 0x80 && (second & 0x80) == 0);
    const int kind = first & 0x0F;
    CHECK(kind == 1 || kind == 8 || kind == 9 || kind == 10);
    CHECK(second != 127);  // a length of eight bytes: nothing that was sent makes so large an answer
    std::size_t length = second, header = 2;
    if (length == 126) {
      CHECK(bytes.size() >= 4);
      length = static_cast<unsigned char>(bytes[2]) * 256u + static_cast<unsigned char>(bytes[3]);
      header = 4;
    }
    if (bytes.size() < header + length) return;  // the client had closed by then
    if (kind == 1) {
      boost::json::error_code error;
      boost::json::parse({bytes.data() + header, length}, error);
      CHECK(!error);
    }
    bytes.remove_prefix(header + length);
  }
}

constexpr std::string_view kHandshake =
    "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

// The input as messages, a line each, in well-formed frames masked by zeros.
std::string framed(std::string_view input) {
  std::string frames;
  while (!input.empty()) {
    const std::size_t end = std::min(input.find('\n'), input.size());
    frames += '\x81';
    if (end < 126) {
      frames += static_cast<char>(0x80 | end);
    } else {
      frames += '\xFE';
      frames += static_cast<char>(end >> 8);
      frames += static_cast<char>(end & 0xFF);
    }
    frames.append(4, '\0').append(input.substr(0, end));
    input.remove_prefix(std::min(end + 1, input.size()));
  }
  return frames;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > fuzz::kMaxInputBytes / 2) return 0;
  static World* const world = new World();
  // The first byte: whether the rest are frames as they are or messages to be framed.
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string frames = data[0] % 2 == 0 ? std::string(rest) : framed(rest);
  // The handshake is answered before more is said, as the protocol demands.
  const std::string said = world->client.answer(std::string(kHandshake) + frames, kHandshake.size());
  CHECK(said.starts_with("HTTP/1.1 101 "));
  check_frames(std::string_view(said).substr(said.find("\r\n\r\n") + 4));
  for (engine::Stats stats = world->engine->stats(); stats.running + stats.waiting > 0;
       stats = world->engine->stats())
    std::this_thread::yield();  // what the client left behind is cancelled; else this never ends
  return 0;
}
