#pragma once
// Texts on their way through the engine for one client: cut into segments, prompted, checked, asked again
// where that can help, and put together in order, whole or as they grow. Every translation dialect and the
// WebSocket stand on this. Belongs to the connection's strand.

#include <boost/asio/awaitable.hpp>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "serve/engine_calls.h"
#include "translate/detect.h"
#include "translate/glossary.h"
#include "translate/segments.h"

namespace pagoda::serve {

struct TextJob {
  std::string text;
  const translate::Language* from = nullptr;            // null: detected
  const translate::Language* to = nullptr;              // never null
  std::string context;                                  // not translated
  std::shared_ptr<const translate::Glossary> glossary;  // may be null
  bool formatted = false;                               // carries <sN></sN> tags
  std::optional<translate::OfficialSampling> sampling;  // null: the server's
  std::optional<std::uint64_t> seed;
};

struct TextResult {
  std::string text;
  std::string from;       // code: given or detected; of a language outside the table too; "" if unknown
  double confidence = 1;  // of the detection, 0..1; 1 if it was given
  std::vector<translate::Problem> problems;  // that the checks still find, each once
  bool retried = false;                      // some segment's answer is the second one
  engine::FinishReason finish = engine::FinishReason::kStop;
  engine::Usage usage;
};

// The detection that a job without `from` gets, and that /detect answers with.
translate::Detection detect(std::string_view text);

class TranslationJobs {
 public:
  using JobId = int;  // in the order of add()

  // What has changed for one job.
  struct Change {
    JobId job = 0;
    bool replaced = false;  // the text so far is now `text`; otherwise `text` comes behind it
    std::string text;
    std::optional<TextResult> result;  // the job is over
    base::Status failed;               // the job is over, and this is why
  };

  // `deltas`: whether changes are wanted before a job is over.
  TranslationJobs(Service& service, const HttpRequest& http, boost::asio::any_io_executor strand,
                  EngineCalls::Deltas deltas);

  // kInvalidArgument for a text that is not UTF-8 or has no room in the model. Nothing is sent yet, and
  // prompts are made when their turn comes (the longest here, where it may not fit): a text may have as many
  // lines as bytes.
  base::Result<JobId> add(TextJob job);
  // What add() found out about the source. Until next() is called.
  const TextResult& about(JobId job) const { return jobs_.at(job).result; }

  // The next change of any job. Nothing: as with EngineCalls::next. Keeps the engine supplied meanwhile, with
  // no more of one client than a step can hold, and waits where its queue is full; only if nothing of this
  // client has ever been accepted the first job fails with kResourceExhausted instead.
  boost::asio::awaitable<std::optional<Change>> next(
      std::chrono::milliseconds patience = EngineCalls::kForever);
  void wake();
  // Its last change says kCancelled.
  void cancel(JobId job);
  bool idle() const { return jobs_.empty(); }
  std::size_t size() const { return jobs_.size(); }

 private:
  struct Piece {  // a segment on its way
    translate::Segment segment;
    std::vector<translate::Term> terms;
    std::unique_ptr<engine::Request> request;       // to be submitted; null before it is its turn, and after
    std::string partial;                            // the answer so far
    std::optional<translate::Translation> first;    // answered, and asked again
    std::optional<translate::Translation> settled;  // the translation
  };
  struct Job {
    TextJob text;  // its `text` is in the pieces
    TextResult result;
    std::vector<Piece> pieces;
    std::size_t unsettled = 0;
    std::size_t first_open = 0;  // all pieces before it are settled, and are `settled_text`
    std::string settled_text;
    std::string shown;  // what the client has by now behind `settled_text`
  };
  struct Place {
    JobId job;
    std::size_t piece;
  };

  static translate::Task task_of(const Job& job, const Piece& piece);
  // Without asking the tokenizer; false: it may fit, or not.
  bool surely_fits(const Job& job, const Piece& piece) const;
  base::Result<engine::Request> request_of(const Job& job, const Piece& piece) const;

  // How many requests this client may have in the engine: a whole batch if it is alone, a few if it is not.
  std::size_t window() const;
  // Submits as much as fits. A job that the engine refuses, or that has nothing to ask, is put into
  // `changes_`.
  void supply();
  void take(CallEvent event);
  void settle(Job& job, Piece& piece, translate::Translation translation);
  // Moves first_open on; the text that this adds to settled_text.
  std::string close_pieces(Job& job);
  // Puts into `changes_` what the client does not know yet.
  void tell(JobId id);
  void fail(JobId id, base::Status status);

  Service& service_;
  EngineCalls calls_;
  const EngineCalls::Deltas deltas_;
  JobId next_id_ = 0;
  std::map<JobId, Job> jobs_;
  std::deque<JobId>
      without_work_;  // over when they came; next() tells, so that about() knows them until then
  std::deque<Place> to_submit_;
  std::map<CallId, Place> running_;
  std::deque<Change> changes_;
  bool accepted_ = false;    // the engine took something of this client
  bool queue_full_ = false;  // at the last try
  bool woken_ = false;       // by wake(), and next() has not ended for it
};

// All texts, to their ends, in order. Texts longer together than the limits are kInvalidArgument.
boost::asio::awaitable<base::Result<std::vector<TextResult>>> translate_texts(Service& service,
                                                                              const HttpRequest& http,
                                                                              std::vector<TextJob> texts);

}  // namespace pagoda::serve
