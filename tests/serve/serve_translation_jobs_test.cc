// TranslationJobs and translate_texts with an engine but without sockets.

#include "serve/translation_jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <cstdio>
#include <functional>
#include <future>

#include "running_server.h"
#include "translate/languages.h"

namespace pagoda::serve {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

TextJob job(const std::string& text) {
  TextJob made;
  made.text = text;
  made.from = translate::find_language("en").value();
  made.to = translate::find_language("fr").value();
  return made;
}

std::string long_line() {
  std::string text;
  for (int i = 0; i < 900; ++i) text += "word" + std::to_string(i) + " ";
  return text;
}

class JobsTest : public ::testing::Test {
 protected:
  void use(std::int32_t max_waiting) { running_ = std::make_unique<RunningServer>(options(max_waiting)); }
  static RunningOptions options(std::int32_t max_waiting) {
    RunningOptions options;
    options.max_waiting = max_waiting;
    options.limits.max_texts = 10;
    options.limits.max_text_bytes = 4000;
    return options;
  }
  Service& service() {
    if (!running_) use(1024);
    return running_->service();
  }
  engine::Engine& engine() { return service().engine; }
  bool idle() const { return running_->idle(); }

  // On a strand of its own, as a handler would run.
  void on_strand(const std::function<asio::awaitable<void>(asio::any_io_executor)>& body) {
    asio::io_context io;
    std::future<void> end = asio::co_spawn(io, body(io.get_executor()), asio::use_future);
    io.run();
    end.get();
  }
  base::Result<std::vector<TextResult>> translate(std::vector<TextJob> jobs) {
    base::Result<std::vector<TextResult>> results{std::vector<TextResult>()};
    on_strand([&](asio::any_io_executor) -> asio::awaitable<void> {
      results = co_await translate_texts(service(), http_, std::move(jobs));
    });
    return results;
  }
  TextResult translate(const std::string& text) {
    base::Result<std::vector<TextResult>> results = translate(std::vector<TextJob>{job(text)});
    EXPECT_TRUE(results.ok()) << results.status().message();
    return results.ok() ? results.value().at(0) : TextResult{};
  }
  // A request of somebody else that does not end by itself.
  void occupy(int count) {
    for (int i = 0; i < count; ++i) {
      engine::Request request;
      request.prompt = engine().tokenizer().encode("a");
      request.sampling.temperature = 1;
      request.ignore_eos = true;
      request.max_tokens = 60000;
      const base::Result<engine::RequestId> id = engine().submit(request, [](const engine::Delta&) {});
      ASSERT_TRUE(id.ok()) << id.status().message();
      others_.push_back(id.value());
      ASSERT_TRUE(eventually([&] {
        const engine::Stats stats = engine().stats();
        return stats.running == std::min(i + 1, 8) && stats.waiting == std::max(0, i - 7);
      }));
    }
  }
  void release() {
    for (const engine::RequestId id : others_) engine().cancel(id);
    others_.clear();
  }

  HttpRequest http_;

 private:
  std::unique_ptr<RunningServer> running_;
  std::vector<engine::RequestId> others_;
};

TEST_F(JobsTest, ATextIsItsLinesOneByOne) {
  const std::vector<std::string> lines = {"The first line.", "A second one, a bit longer.", "Third"};
  std::vector<TextResult> alone;
  for (const std::string& line : lines) alone.push_back(translate(line));
  const TextResult whole = translate("\n" + lines[0] + "\r\n\r\n  " + lines[1] + "\n" + lines[2] + "\n");
  EXPECT_EQ(whole.text, "\n" + alone[0].text + "\r\n\r\n  " + alone[1].text + "\n" + alone[2].text + "\n");
  EXPECT_EQ(
      whole.usage.completion_tokens,
      alone[0].usage.completion_tokens + alone[1].usage.completion_tokens + alone[2].usage.completion_tokens);
  EXPECT_EQ(whole.retried, alone[0].retried || alone[1].retried || alone[2].retried);
  // The log gets the sum of what the engine did.
  EXPECT_EQ(http_.trace->completion_tokens, 2 * whole.usage.completion_tokens);
}

TEST_F(JobsTest, AnswersAreThoseOfTheTranslator) {
  // Random weights speak no French: some answers are asked for again, and sometimes the second is better.
  int retried = 0;
  for (const char* text :
       {"One.", "Two cats sat on a mat.", "Where is the station?", "{0} of %s", "Good night!"}) {
    translate::Task task;
    task.source = text;
    task.from = translate::find_language("en").value();
    task.to = translate::find_language("fr").value();
    const auto expected = service().translator.translate({task}, nullptr);
    ASSERT_TRUE(expected.ok()) << expected.status().message();
    const TextResult result = translate(text);
    EXPECT_EQ(result.text, expected.value()[0].text);
    EXPECT_EQ(result.retried, expected.value()[0].retried);
    EXPECT_EQ(result.problems, expected.value()[0].problems);
    // Both answers are paid for.
    if (service().translator.worth_retry(expected.value()[0]) || result.retried) {
      EXPECT_GT(result.usage.completion_tokens, expected.value()[0].usage.completion_tokens);
    }
    retried += result.retried;
  }
  EXPECT_GT(retried, 0) << "nothing was tried again: the test tests too little";
}

TEST_F(JobsTest, DeltasMakeUpTheText) {
  on_strand([&](asio::any_io_executor strand) -> asio::awaitable<void> {
    TranslationJobs jobs(service(), http_, strand, EngineCalls::Deltas::kEach);
    std::map<int, std::string> shown;
    for (int i = 0; i < 12; ++i) {
      const auto id = jobs.add(job("Line " + std::to_string(i) + ".\n\nAnother, longer line here.\n"));
      EXPECT_TRUE(id.ok());
      EXPECT_EQ(id.value(), i);
    }
    int deltas = 0;
    for (int left = 12; left > 0;) {
      const std::optional<TranslationJobs::Change> change = co_await jobs.next();
      if (!change) continue;
      EXPECT_TRUE(change->failed.ok()) << change->failed.message();
      if (change->replaced) shown[change->job].clear();
      shown[change->job] += change->text;
      ++deltas;
      if (!change->result) continue;
      EXPECT_EQ(shown[change->job], change->result->text);
      --left;
    }
    EXPECT_GT(deltas, 24);  // more than one a job and its end
    EXPECT_TRUE(jobs.idle());
  });
}

TEST_F(JobsTest, WithoutTextNothingIsAsked) {
  const base::Result<std::vector<TextResult>> results = translate({job(""), job(" \n\t\r\n"), job("\u3000")});
  ASSERT_TRUE(results.ok());
  EXPECT_EQ(results.value()[0].text, "");
  EXPECT_EQ(results.value()[1].text, " \n\t\r\n");
  EXPECT_EQ(results.value()[2].text, "\u3000");
  EXPECT_EQ(engine().stats().steps, 0);
  EXPECT_TRUE(translate(std::vector<TextJob>{}).ok());
}

TEST_F(JobsTest, RefusesWhatItCannotTranslate) {
  const auto message = [&](std::vector<TextJob> texts) {
    const auto results = translate(std::move(texts));
    EXPECT_EQ(results.status().code(), base::Code::kInvalidArgument);
    return results.status().message();
  };
  EXPECT_THAT(message({job("a\xff")}), HasSubstr("not UTF-8"));
  EXPECT_THAT(message(std::vector<TextJob>(11, job("a"))), HasSubstr("11 texts, the limit is 10"));
  EXPECT_THAT(message({job(std::string(2000, 'a')), job(std::string(2001, 'a'))}),
              HasSubstr("4001 bytes, the limit is 4000"));
  TextJob context = job("a");
  context.context = std::string(4000, 'c');
  EXPECT_THAT(message({context}), HasSubstr("4001 bytes"));
  EXPECT_EQ(engine().stats().steps, 0);
}

TEST_F(JobsTest, ALineWithoutRoomIsKnownBeforeAnythingIsSent) {
  std::string line;
  for (int i = 0; i < 70000; ++i) line += " 1";
  on_strand([&](asio::any_io_executor strand) -> asio::awaitable<void> {
    TranslationJobs jobs(service(), http_, strand, EngineCalls::Deltas::kEach);
    const auto refused = jobs.add(job("Short.\n" + line + "\nShort."));
    EXPECT_EQ(refused.status().code(), base::Code::kInvalidArgument);
    EXPECT_THAT(refused.status().message(), HasSubstr("65536"));
    EXPECT_TRUE(jobs.idle());
    TextJob context = job("One.\nTwo.");
    context.context = line;
    EXPECT_EQ(jobs.add(context).status().code(), base::Code::kInvalidArgument);
    co_return;
  });
  EXPECT_EQ(engine().stats().steps, 0);
}

TEST_F(JobsTest, AFullQueueRefusesWhoeverIsNew) {
  use(1);
  occupy(9);
  const auto refused = translate(std::vector<TextJob>{job("Hello.\nYou.")});
  EXPECT_EQ(refused.status().code(), base::Code::kResourceExhausted) << refused.status().message();
  release();
  ASSERT_TRUE(eventually([&] { return idle(); }));
  EXPECT_TRUE(translate(std::vector<TextJob>{job("Hello.\nYou.")}).ok());
}

TEST_F(JobsTest, AFullQueueLetsWaitWhoeverIsInIt) {
  use(1);
  occupy(8);
  on_strand([&](asio::any_io_executor strand) -> asio::awaitable<void> {
    TranslationJobs jobs(service(), http_, strand, EngineCalls::Deltas::kAtEnd);
    std::string text;
    for (int i = 0; i < 20; ++i) text += "Line " + std::to_string(i) + "\n";
    EXPECT_TRUE(jobs.add(job(text)).ok());
    // One line waits in the queue, and there is no room for the others.
    const auto nothing = co_await jobs.next(milliseconds(100));
    EXPECT_FALSE(nothing.has_value());
    EXPECT_EQ(engine().stats().waiting, 1);
    EXPECT_EQ(jobs.size(), 1u);
    release();
    while (!jobs.idle()) {
      const std::optional<TranslationJobs::Change> change = co_await jobs.next();
      if (!change) continue;
      EXPECT_TRUE(change->failed.ok()) << change->failed.message();
      EXPECT_TRUE(change->result.has_value());
      if (change->result) {
        const std::string& out = change->result->text;
        EXPECT_GE(std::count(out.begin(), out.end(), '\n'), 20);
      }
    }
  });
}

TEST_F(JobsTest, KeepsNoMoreInTheEngineThanAStepHolds) {
  on_strand([&](asio::any_io_executor strand) -> asio::awaitable<void> {
    TranslationJobs jobs(service(), http_, strand, EngineCalls::Deltas::kEach);
    for (int i = 0; i < 40; ++i) EXPECT_TRUE(jobs.add(job("Line " + std::to_string(i))).ok());
    for (int over = 0; over < 40;) {
      const std::optional<TranslationJobs::Change> change = co_await jobs.next();
      const engine::Stats stats = engine().stats();
      EXPECT_LE(stats.running + stats.waiting, 10);
      over += change && change->result;
    }
  });
}

TEST_F(JobsTest, ACancelledJobIsOverAtOnceAndTheOthersGoOn) {
  on_strand([&](asio::any_io_executor strand) -> asio::awaitable<void> {
    TranslationJobs jobs(service(), http_, strand, EngineCalls::Deltas::kAtEnd);
    const int first = jobs.add(job(long_line() + "\n" + long_line())).value();
    const int second = jobs.add(job("Hello.")).value();
    const int third = jobs.add(job(long_line())).value();
    const auto nothing = co_await jobs.next(milliseconds(0));
    EXPECT_FALSE(nothing.has_value());
    jobs.cancel(first);
    jobs.cancel(first);
    jobs.cancel(99);
    std::vector<int> order;
    while (order.size() < 2) {
      const std::optional<TranslationJobs::Change> change = co_await jobs.next();
      if (!change) continue;
      order.push_back(change->job);
      EXPECT_EQ(change->failed.code(), change->job == first ? base::Code::kCancelled : base::Code::kOk);
      EXPECT_EQ(change->result.has_value(), change->job == second);
    }
    EXPECT_EQ(order, std::vector<int>({first, second}));
    jobs.cancel(third);
    const std::optional<TranslationJobs::Change> last = co_await jobs.next();
    EXPECT_TRUE(last && last->job == third);
    EXPECT_TRUE(jobs.idle());
  });
  EXPECT_TRUE(eventually([&] { return idle(); }));
  EXPECT_EQ(engine().stats().kv_blocks_used, 0);
}

TEST_F(JobsTest, WhoeverLetsGoOfThemFreesTheEngine) {
  on_strand([&](asio::any_io_executor strand) -> asio::awaitable<void> {
    TranslationJobs jobs(service(), http_, strand, EngineCalls::Deltas::kEach);
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(jobs.add(job(long_line())).ok());
    co_await jobs.next();
  });
  EXPECT_TRUE(eventually([&] { return idle(); }));
}

TEST_F(JobsTest, ADrainingEngineFailsThem) {
  service();
  engine().drain();
  const auto refused = translate(std::vector<TextJob>{job("Hello.")});
  EXPECT_EQ(refused.status().code(), base::Code::kFailedPrecondition) << refused.status().message();
}

// Bytes that this process holds.
std::size_t resident_bytes() {
  std::size_t total = 0, resident = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%zu %zu", &total, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return resident * 4096;
}

// One message may hold as many lines as it has bytes. What is kept of each must not grow with the context,
// nor may all prompts be made before the first is asked.
TEST_F(JobsTest, ManyLinesAndAContextCostLittle) {
  std::string lines;
  for (int i = 0; i < 50000; ++i) lines += "a\n";
  std::string context;
  for (int i = 0; i < 2000; ++i) context += "Before that, much happened. ";
  on_strand([&](asio::any_io_executor strand) -> asio::awaitable<void> {
    TranslationJobs jobs(service(), http_, strand, EngineCalls::Deltas::kEach);
    TextJob large = job(lines);
    large.context = context;
    const std::size_t before = resident_bytes();
    const auto start = std::chrono::steady_clock::now();
    EXPECT_TRUE(jobs.add(std::move(large)).ok());
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
    EXPECT_LT(resident_bytes() - before, std::size_t{200} << 20);
    co_return;
  });
}

}  // namespace
}  // namespace pagoda::serve
