#include "serve/translation_jobs.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <utility>

#include "text/utf8.h"
#include "translate/tags.h"

namespace pagoda::serve {
namespace asio = boost::asio;
using translate::Problem;
using translate::Translation;
namespace {

// How long to wait for a place in a queue that others have filled.
constexpr std::chrono::milliseconds kQueuePause{20};
constexpr std::int64_t kWindowAtLeast = 4;

void add_problems(const std::vector<Problem>& found, std::vector<Problem>& all) {
  for (const Problem problem : found)
    if (std::find(all.begin(), all.end(), problem) == all.end()) all.push_back(problem);
}

void add_usage(const engine::Usage& usage, engine::Usage& sum) {
  sum.prompt_tokens += usage.prompt_tokens;
  sum.cached_tokens += usage.cached_tokens;
  sum.completion_tokens += usage.completion_tokens;
}

}  // namespace

translate::Detection detect(std::string_view text) {
  return translate::detect_language(translate::without_tags(text));
}

TranslationJobs::TranslationJobs(Service& service, const HttpRequest& http, asio::any_io_executor strand,
                                 EngineCalls::Deltas deltas)
    : service_(service), calls_(service, http, std::move(strand)), deltas_(deltas) {}

base::Result<TranslationJobs::JobId> TranslationJobs::add(TextJob text) {
  if (text::valid_utf8_prefix(text.text) != text.text.size()) return base::invalid("the text is not UTF-8");
  Job job;
  bool sure = true;
  if (text.from != nullptr) {
    job.result.from = text.from->code;
  } else {
    const translate::Detection detection = detect(text.text);
    sure = detection.reliable;
    text.from = detection.language;
    job.result.from = detection.code;
    job.result.confidence = detection.confidence;
  }
  const bool nothing_to_do = sure && text.from == text.to;
  std::size_t longest = 0;
  for (translate::Segment& segment : translate::split_segments(text.text)) {
    Piece piece;
    piece.segment = std::move(segment);
    if (nothing_to_do) {
      piece.settled = Translation{.text = piece.segment.source};
      piece.segment.sentence = false;  // what stands between sentences stays too
    } else if (piece.segment.source.empty()) {
      piece.settled = Translation{};
    } else {
      if (text.glossary) piece.terms = text.glossary->matches(piece.segment.source);
      if (job.unsettled == 0 || piece.segment.source.size() > job.pieces[longest].segment.source.size())
        longest = job.pieces.size();
      ++job.unsettled;
    }
    job.pieces.push_back(std::move(piece));
  }
  text.text = std::string();  // the segments have it
  job.text = std::move(text);
  if (job.unsettled > 0 && !surely_fits(job, job.pieces[longest])) {
    // A text without room is known now, not when half of it is translated.
    ASSIGN_OR_RETURN(engine::Request request, request_of(job, job.pieces[longest]));
    job.pieces[longest].request = std::make_unique<engine::Request>(std::move(request));
  }
  const JobId id = next_id_++;
  for (std::size_t i = 0; i < job.pieces.size(); ++i)
    if (!job.pieces[i].settled) to_submit_.push_back({id, i});
  const bool over = job.unsettled == 0;
  jobs_.emplace(id, std::move(job));
  if (over) without_work_.push_back(id);
  return id;
}

translate::Task TranslationJobs::task_of(const Job& job, const Piece& piece) {
  return {piece.segment.source, job.text.from, job.text.to,
          job.text.context,     piece.terms,   job.text.formatted};
}

bool TranslationJobs::surely_fits(const Job& job, const Piece& piece) const {
  // No token is shorter than a byte, the answer gets at least as many as the source, and no wording of a
  // prompt is as long as this.
  constexpr std::size_t kWordingBytes = 1024;
  std::size_t bytes = kWordingBytes + 2 * piece.segment.source.size() + job.text.context.size();
  for (const translate::Term& term : piece.terms) bytes += term.source.size() + term.target.size() + 8;
  return bytes <= static_cast<std::size_t>(service_.engine.limits().max_model_len);
}

base::Result<engine::Request> TranslationJobs::request_of(const Job& job, const Piece& piece) const {
  const translate::Translator& translator = service_.translator;
  const translate::OfficialSampling sampling =
      piece.first ? translator.retry_sampling() : job.text.sampling.value_or(translator.options().sampling);
  return translator.request(task_of(job, piece), sampling, job.text.seed.value_or(translator.options().seed));
}

std::size_t TranslationJobs::window() const {
  const engine::Stats stats = service_.engine.stats();
  // Two more than a step can hold, so that the next one is there when one ends.
  const std::int64_t places = service_.engine.limits().max_num_seqs + 2;
  const std::int64_t others = stats.running + stats.waiting - static_cast<std::int64_t>(calls_.live());
  return static_cast<std::size_t>(
      std::max<std::int64_t>(kWindowAtLeast, places - std::max<std::int64_t>(others, 0)));
}

void TranslationJobs::supply() {
  for (; !without_work_.empty(); without_work_.pop_front())
    if (jobs_.contains(without_work_.front())) tell(without_work_.front());
  queue_full_ = false;
  while (!to_submit_.empty() && calls_.live() < window()) {
    const Place place = to_submit_.front();
    const auto found = jobs_.find(place.job);
    if (found == jobs_.end()) {  // cancelled
      to_submit_.pop_front();
      continue;
    }
    const Job& job = found->second;
    Piece& piece = found->second.pieces[place.piece];
    if (!piece.request) {
      base::Result<engine::Request> request = request_of(job, piece);
      if (!request.ok()) {
        to_submit_.pop_front();
        fail(place.job, request.status());
        continue;
      }
      piece.request = std::make_unique<engine::Request>(std::move(request).value());
    }
    // A formatted answer is not shown before its tags are verified, a second one not before it has won.
    const bool hidden = job.text.formatted || piece.first;
    const base::Result<CallId> call =
        calls_.submit(*piece.request, hidden ? EngineCalls::Deltas::kAtEnd : deltas_);
    if (!call.ok() && call.status().code() == base::Code::kResourceExhausted && accepted_) {
      queue_full_ = true;
      return;
    }
    to_submit_.pop_front();
    if (!call.ok()) {
      fail(place.job, call.status());
      continue;
    }
    accepted_ = true;
    piece.request.reset();
    running_.emplace(call.value(), place);
  }
}

void TranslationJobs::take(CallEvent event) {
  const auto found = running_.find(event.call);
  if (found == running_.end()) return;
  const Place place = found->second;
  if (event.finish) running_.erase(found);
  const auto entry = jobs_.find(place.job);
  if (entry == jobs_.end()) return;
  Job& job = entry->second;
  Piece& piece = job.pieces[place.piece];
  if (!piece.first) piece.partial += event.text;  // a second answer is shown when it has won
  if (event.finish) {
    add_usage(event.usage, job.result.usage);
    if (*event.finish == engine::FinishReason::kLength) job.result.finish = engine::FinishReason::kLength;
    engine::Completion completion;
    completion.text = piece.first ? std::move(event.text) : piece.partial;
    completion.finish = *event.finish;
    completion.error = std::move(event.error);
    base::Result<Translation> answer = service_.translator.accept(task_of(job, piece), completion);
    if (!answer.ok()) return fail(place.job, answer.status());
    if (piece.first) {
      settle(job, piece, translate::Translator::choose(std::move(*piece.first), std::move(answer).value()));
    } else if (service_.translator.worth_retry(answer.value())) {
      piece.first = std::move(answer).value();
      to_submit_.push_front(place);
    } else {
      settle(job, piece, std::move(answer).value());
    }
  }
  tell(place.job);
}

void TranslationJobs::settle(Job& job, Piece& piece, Translation translation) {
  add_problems(translation.problems, job.result.problems);
  job.result.retried = job.result.retried || translation.retried;
  piece.settled = std::move(translation);
  --job.unsettled;
}

std::string TranslationJobs::close_pieces(Job& job) {
  std::string text;
  for (; job.first_open < job.pieces.size() && job.pieces[job.first_open].settled; ++job.first_open) {
    const Piece& piece = job.pieces[job.first_open];
    text.append(piece.segment.leading).append(piece.settled->text);
    text += separator_after(piece.segment, *job.text.to);
  }
  return text;
}

void TranslationJobs::tell(JobId id) {
  Job& job = jobs_.at(id);
  const bool over = job.unsettled == 0;
  if (!over && deltas_ == EngineCalls::Deltas::kAtEnd) return;
  const std::string closed = close_pieces(job);
  std::string open;
  if (!over) {
    const Piece& piece = job.pieces[job.first_open];
    open = piece.segment.leading;
    if (!job.text.formatted)
      open += piece.first ? std::string_view(piece.first->text) : translate::trim(piece.partial);
  }
  const std::string text = closed + open;  // behind settled_text, where the client has `shown`
  Change change;
  change.job = id;
  change.replaced = !text.starts_with(job.shown);
  change.text = change.replaced ? job.settled_text + text : text.substr(job.shown.size());
  job.settled_text += closed;
  job.shown = std::move(open);
  if (!over && !change.replaced && change.text.empty()) return;
  if (over) {
    job.result.text = std::move(job.settled_text);
    change.result = std::move(job.result);
    jobs_.erase(id);
  }
  changes_.push_back(std::move(change));
}

void TranslationJobs::fail(JobId id, base::Status status) {
  for (const auto& [call, place] : running_)
    if (place.job == id) calls_.cancel(call);
  jobs_.erase(id);
  Change change;
  change.job = id;
  change.failed = std::move(status);
  changes_.push_back(std::move(change));
}

void TranslationJobs::cancel(JobId id) {
  if (jobs_.contains(id)) fail(id, base::error(base::Code::kCancelled, "the translation was cancelled"));
}

void TranslationJobs::wake() {
  woken_ = true;
  calls_.wake();
}

asio::awaitable<std::optional<TranslationJobs::Change>> TranslationJobs::next(
    std::chrono::milliseconds patience) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point deadline = Clock::now() + patience;
  supply();
  while (changes_.empty()) {
    const auto left = std::max(std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()),
                               std::chrono::milliseconds(0));
    std::optional<CallEvent> event = co_await calls_.next(queue_full_ ? std::min(left, kQueuePause) : left);
    if (event) take(std::move(*event));
    supply();
    const bool over = co_await cancelled();
    if (over) co_return std::nullopt;
    // While the queue is full the wait ends more often than the caller's.
    if (!event && changes_.empty() && (std::exchange(woken_, false) || Clock::now() >= deadline))
      co_return std::nullopt;
  }
  Change change = std::move(changes_.front());
  changes_.pop_front();
  co_return change;
}

asio::awaitable<base::Result<std::vector<TextResult>>> translate_texts(Service& service,
                                                                       const HttpRequest& http,
                                                                       std::vector<TextJob> texts) {
  if (texts.size() > service.limits.max_texts)
    co_return base::invalid("the request has {} texts, the limit is {}", texts.size(),
                            service.limits.max_texts);
  std::size_t bytes = 0;
  for (const TextJob& text : texts) bytes += text.text.size() + text.context.size();
  if (bytes > service.limits.max_text_bytes)
    co_return base::invalid("the texts with their contexts have {} bytes, the limit is {}", bytes,
                            service.limits.max_text_bytes);
  TranslationJobs jobs(service, http, co_await asio::this_coro::executor, EngineCalls::Deltas::kAtEnd);
  std::vector<TextResult> results(texts.size());
  for (TextJob& text : texts) {
    if (service.keep_texts) http.trace->input += text.text;
    const base::Result<TranslationJobs::JobId> id = jobs.add(std::move(text));
    if (!id.ok()) co_return id.status();
  }
  for (std::size_t left = results.size(); left > 0;) {
    std::optional<TranslationJobs::Change> change = co_await jobs.next();
    if (!change) {
      const bool over = co_await cancelled();
      if (over) co_return base::error(base::Code::kCancelled, "the request was cancelled");
      continue;
    }
    if (!change->failed.ok()) co_return change->failed;
    if (!change->result) continue;
    results[static_cast<std::size_t>(change->job)] = std::move(*change->result);
    --left;
  }
  if (service.keep_texts)
    for (const TextResult& result : results) http.trace->output += result.text;
  co_return results;
}

}  // namespace pagoda::serve
