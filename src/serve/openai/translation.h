#pragma once
// Chats that are translations: those with translation_options, and all where the server was started with
// --translate-chat. The last user message is translated as any text is (official prompt, segments, glossary,
// checks), and the answer has the shape of a chat. Belongs to the connection's strand.

#include <map>
#include <memory>
#include <optional>

#include "serve/openai/errors.h"
#include "serve/openai/json.h"
#include "serve/openai/request.h"
#include "serve/translation_jobs.h"

namespace pagoda::serve {

// The text and its languages; nothing for a chat that is to be answered by the model as it is.
// kInvalidArgument where a translation is wanted and what or into what cannot be told. Pure.
base::Result<std::optional<TextJob>> openai_translation_job(const OpenAiRequest& request,
                                                            bool translate_chat);

class OpenAiTranslation {
 public:
  OpenAiTranslation(Service& service, const HttpRequest& http, boost::asio::any_io_executor strand,
                    const OpenAiRequest& request);

  // Cuts the text and hands it to the jobs.
  std::optional<OpenAiError> start(TextJob text);
  boost::asio::awaitable<HttpResponse> whole();
  // Waits for the first piece or failure, so that a refusal is a status and not an event.
  boost::asio::awaitable<std::optional<OpenAiError>> begin();
  // The translation in pieces that will not change: a segment that a check finds fault with is translated
  // again, and what was sent cannot be taken back.
  boost::asio::awaitable<void> stream(BodyWriter& writer);

 private:
  struct Piece {
    translate::Segment segment;
    std::optional<std::string> text;  // the translation
  };

  // Waits for one change; sets error_ when it is a failure. False: nothing has come.
  boost::asio::awaitable<bool> wait(std::chrono::milliseconds patience);
  // What is settled and not yet told.
  std::string take_settled();

  Service& service_;
  const HttpRequest& http_;
  const OpenAiHead head_;
  const bool include_usage_;
  TranslationJobs jobs_;
  const translate::Language* to_ = nullptr;
  std::vector<Piece> pieces_;
  std::map<TranslationJobs::JobId, std::size_t> running_;  // which piece
  std::size_t told_ = 0;                                   // pieces
  engine::FinishReason finish_ = engine::FinishReason::kStop;
  engine::Usage usage_;
  std::optional<OpenAiError> error_;
};

}  // namespace pagoda::serve
