#include "serve/openai/translation.h"

#include <algorithm>

#include "serve/http/errors.h"
#include "serve/http/sse.h"
#include "serve/openai/generation.h"
#include "translate/unicode.h"

namespace pagoda::serve {
namespace asio = boost::asio;

OpenAiTranslation::OpenAiTranslation(Service& service, const HttpRequest& http, asio::any_io_executor strand,
                                     const OpenAiRequest& request)
    : service_(service),
      http_(http),
      head_(openai_head(service, http, OpenAiKind::kChat)),
      include_usage_(request.include_usage),
      jobs_(service, http, std::move(strand), EngineCalls::Deltas::kAtEnd) {}

std::optional<OpenAiError> OpenAiTranslation::start(TextJob text) {
  if (text.text.size() > service_.limits.max_text_bytes)
    return openai_error(base::invalid("messages hold a text of {} bytes, the limit is {}", text.text.size(),
                                      service_.limits.max_text_bytes));
  if (service_.keep_texts) http_.trace->input = text.text;
  // Of the whole text, which says more than its lines. One that is not sure must not look like one that the
  // client gave: text in the target language is left as it is.
  if (const translate::Detection found = detect(text.text); text.from == nullptr && found.reliable)
    text.from = found.language;
  to_ = text.to;
  for (translate::Segment& segment : translate::split_segments(text.text)) {
    Piece piece{std::move(segment), std::nullopt};
    if (translate::count_scripts(piece.segment.source).letters == 0) {
      // Nothing to translate: numbers, and the lines by which programs tell paragraphs apart.
      piece.text = piece.segment.source;
    } else {
      TextJob job = text;
      job.text = piece.segment.source;
      const base::Result<TranslationJobs::JobId> id = jobs_.add(std::move(job));
      if (!id.ok()) return openai_error(id.status());
      running_.emplace(id.value(), pieces_.size());
    }
    pieces_.push_back(std::move(piece));
  }
  return std::nullopt;
}

asio::awaitable<bool> OpenAiTranslation::wait(std::chrono::milliseconds patience) {
  std::optional<TranslationJobs::Change> change = co_await jobs_.next(patience);
  if (!change) co_return false;
  if (!change->failed.ok()) {
    error_ = openai_error(change->failed);
    co_return true;
  }
  const auto found = running_.find(change->job);
  if (!change->result || found == running_.end()) co_return true;
  const TextResult& result = *change->result;
  pieces_[found->second].text = result.text;
  running_.erase(found);
  if (result.finish == engine::FinishReason::kLength) finish_ = result.finish;
  usage_.prompt_tokens += result.usage.prompt_tokens;
  usage_.cached_tokens += result.usage.cached_tokens;
  usage_.completion_tokens += result.usage.completion_tokens;
  co_return true;
}

std::string OpenAiTranslation::take_settled() {
  std::string text;
  for (; told_ < pieces_.size() && pieces_[told_].text; ++told_) {
    const Piece& piece = pieces_[told_];
    text += piece.segment.leading;
    text += *piece.text;
    text += separator_after(piece.segment, *to_);
  }
  if (service_.keep_texts) http_.trace->output += text;
  return text;
}

asio::awaitable<HttpResponse> OpenAiTranslation::whole() {
  while (!running_.empty() && !error_) {
    co_await wait(EngineCalls::kForever);
    const bool over = co_await cancelled();
    if (over)
      co_return openai_error_response(http_status(base::Code::kCancelled), "the request was cancelled");
  }
  if (error_) co_return openai_response(*error_);
  HttpResponse response;
  response.body = openai_answer_json(head_, {{take_settled(), "null", finish_}}, usage_);
  co_return response;
}

asio::awaitable<std::optional<OpenAiError>> OpenAiTranslation::begin() {
  if (!running_.empty()) co_await wait(service_.limits.ping_interval);
  co_return error_;
}

asio::awaitable<void> OpenAiTranslation::stream(BodyWriter& writer) {
  const OpenAiEvents events(head_, include_usage_);
  std::string bytes;
  events.begin(0, bytes);
  while (true) {
    const std::string text = take_settled();
    if (!text.empty()) events.text(0, text, "null", bytes);
    if (error_) {
      bytes += sse_event(openai_error_json(*error_)) + sse_done();
    } else if (running_.empty()) {
      events.finish(0, finish_, bytes);
      events.end(usage_, bytes);
    }
    if (!bytes.empty()) {
      const bool written = co_await writer.write(std::move(bytes));
      if (!written || error_ || running_.empty()) co_return;
      bytes.clear();
    }
    const bool came = co_await wait(service_.limits.ping_interval);
    const bool over = co_await cancelled();
    if (over) co_return;
    if (!came) bytes = sse_ping();
  }
}

}  // namespace pagoda::serve
