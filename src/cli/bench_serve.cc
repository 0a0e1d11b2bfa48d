// pagoda bench serve: puts a running server under load and prints what its clients would see.

#include <fmt/core.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <limits>

#include "cli/engine_flags.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "load/arrivals.h"
#include "load/prompts.h"
#include "load/report.h"
#include "load/run.h"

namespace pagoda::cli {
namespace {

constexpr std::size_t kDefaultRandomPrompts = 100;
constexpr std::int32_t kDefaultFileOutput = 256;  // tokens

struct Flags {
  std::string url = "http://127.0.0.1:8080", endpoint = "generate", model, api_key;
  std::string file, pattern, from = "auto", to;
  load::RandomLengths random;
  std::int32_t output_len = 0;  // 0: not given
  std::size_t num_prompts = 0;  // 0: not given
  std::size_t max_concurrency = 0, warmups = 0;
  double request_rate = std::numeric_limits<double>::infinity(), burstiness = 1;
  double timeout = 600;  // seconds
  std::uint64_t seed = 0;
  std::vector<std::string> goodput;
  std::vector<double> percentiles = {50, 90, 99};
  bool ignore_eos = false, json = false;
};

base::Status check(const Flags& flags) {
  const bool translates = flags.endpoint == "translate";
  if (translates && flags.to.empty()) return base::invalid("--endpoint translate needs --to LANGUAGE");
  if (!translates && !flags.to.empty()) return base::invalid("--to belongs to --endpoint translate");
  if (!flags.pattern.empty() && flags.file.empty()) return base::invalid("--template belongs to --file");
  if (!(flags.request_rate > 0)) return base::invalid("--request-rate must be above 0, or inf");
  if (!(flags.burstiness > 0)) return base::invalid("--burstiness must be above 0");
  for (const double percent : flags.percentiles)
    if (!(percent >= 0 && percent <= 100))
      return base::invalid("--percentiles {:g} is not between 0 and 100", percent);
  if (std::any_of(flags.api_key.begin(), flags.api_key.end(), [](char c) { return c >= 0 && c < ' '; }))
    return base::invalid("--api-key holds a control byte");
  return {};
}

// Each stream is an open file; 1024 are allowed by default, and more nearly always.
void allow_many_connections() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// What the server counts for random words. Its two requests also show early whether it answers at all.
base::Result<load::TokenFit> measure_tokens(load::Client& client, load::RandomPrompts& prompts) {
  constexpr std::size_t kWords[2] = {16, 80};
  double tokens[2] = {};
  for (int i = 0; i < 2; ++i) {
    const load::Outcome outcome = load::send_one(client, {prompts.words(kWords[i]), 1});
    if (!outcome.ok())
      return base::error(base::Code::kFailedPrecondition, "the first request failed ({}): {}",
                         outcome.failure, outcome.error);
    if (!outcome.usage) return load::TokenFit{};
    tokens[i] = static_cast<double>(outcome.usage->prompt);
  }
  return load::fit_tokens(kWords[0], tokens[0], kWords[1], tokens[1]);
}

// The prompts of the warm-up and behind them those of the run.
base::Result<std::vector<load::Prompt>> make_prompts(const Flags& flags, load::Client& client) {
  std::vector<load::Prompt> prompts;
  if (flags.file.empty()) {
    load::RandomPrompts random(flags.seed);
    load::RandomLengths lengths = flags.random;
    if (flags.output_len > 0) lengths.output_tokens = flags.output_len;
    load::TokenFit fit;
    if (load::is_streamed(client.shape().endpoint)) {
      ASSIGN_OR_RETURN(fit, measure_tokens(client, random));
    }
    const std::size_t count = flags.num_prompts > 0 ? flags.num_prompts : kDefaultRandomPrompts;
    for (std::size_t i = 0; i < flags.warmups + count; ++i) prompts.push_back(random.draw(lengths, fit));
    return prompts;
  }
  ASSIGN_OR_RETURN(std::vector<std::string> lines, load::read_lines(flags.file));
  if (!flags.pattern.empty())
    for (std::string& line : lines) {
      ASSIGN_OR_RETURN(line, load::fill_template(flags.pattern, line));
    }
  const std::size_t count = flags.num_prompts > 0 ? flags.num_prompts : lines.size();
  const std::int32_t output = flags.output_len > 0 ? flags.output_len : kDefaultFileOutput;
  for (std::size_t i = 0; i < flags.warmups; ++i) prompts.push_back({lines[i % lines.size()], output});
  for (std::size_t i = 0; i < count; ++i) prompts.push_back({lines[i % lines.size()], output});
  return prompts;
}

load::RunResult run_measured(const Flags& flags, load::Client& client,
                             std::span<const load::Prompt> prompts) {
  Progress progress("load on " + flags.url);
  load::RunOptions options;
  options.arrivals_s =
      load::arrival_seconds(prompts.size(), flags.request_rate, flags.burstiness, flags.seed);
  options.max_concurrency = flags.max_concurrency;
  options.done = [&](std::size_t over) {
    progress.share(static_cast<double>(over) / static_cast<double>(prompts.size()),
                   fmt::format("{}/{} requests", over, prompts.size()));
  };
  return load::run(client, prompts, options);
}

void remark(const Flags& flags, const load::Metrics& metrics) {
  fmt::print(stderr, "{}", load::failures_text(metrics));
  if (metrics.without_usage > 0 && flags.endpoint != "translate")
    fmt::print(stderr, "{} answers named no token counts; their pieces were counted instead\n",
               metrics.without_usage);
}

// True if at least one request got its answer.
base::Result<bool> run(const Flags& flags) {
  RETURN_IF_ERROR(check(flags));
  load::ReportHead head;
  load::ClientOptions options;
  ASSIGN_OR_RETURN(options.url, load::parse_url(flags.url));
  ASSIGN_OR_RETURN(options.shape.endpoint, load::parse_endpoint(flags.endpoint));
  ASSIGN_OR_RETURN(head.goodput, load::parse_goodput(flags.goodput));
  options.shape.model = flags.model;
  options.shape.api_key = flags.api_key;
  options.shape.from = flags.from;
  options.shape.to = flags.to;
  options.shape.ignore_eos = flags.ignore_eos;
  options.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(flags.timeout * 1000));
  allow_many_connections();
  load::Client client(options);
  RETURN_IF_ERROR(client.resolve());
  if (load::is_openai(options.shape.endpoint) && flags.model.empty()) {
    ASSIGN_OR_RETURN(std::string model, load::ask_model(client));
    client.set_model(std::move(model));
  }
  ASSIGN_OR_RETURN(const std::vector<load::Prompt> prompts, make_prompts(flags, client));
  const std::span<const load::Prompt> all(prompts);
  if (flags.warmups > 0) {
    load::RunOptions warmup;
    warmup.arrivals_s.resize(flags.warmups);
    warmup.max_concurrency = flags.max_concurrency;
    load::run(client, all.first(flags.warmups), warmup);
  }
  const auto measured = all.subspan(flags.warmups);
  const load::RunResult result = run_measured(flags, client, measured);

  head.url = flags.url;
  head.model = client.shape().model;
  head.endpoint = options.shape.endpoint;
  head.num_prompts = measured.size();
  head.request_rate = flags.request_rate;
  head.burstiness = flags.burstiness;
  head.max_concurrency = flags.max_concurrency;
  head.seed = flags.seed;
  head.percents = flags.percentiles;
  const load::Metrics metrics =
      load::measure(result.outcomes, result.seconds, flags.percentiles, head.goodput);
  if (flags.json)
    fmt::print("{}\n", boost::json::serialize(load::report_json(head, metrics)));
  else
    fmt::print("{}", load::report_text(head, metrics));
  remark(flags, metrics);
  return metrics.completed > 0;
}

}  // namespace

Verb add_bench_serve(CLI::App& bench) {
  CLI::App* command = bench.add_subcommand("serve", "Put a running server under load, like vllm bench serve");
  auto flags = std::make_shared<Flags>();
  command->add_option("--url", flags->url, "The server; http:// only")->capture_default_str();
  command
      ->add_option("--endpoint", flags->endpoint,
                   "generate (/generate), completions (/v1/completions), chat (/v1/chat/completions), all "
                   "streamed, or translate (LibreTranslate's /translate, not streamed)")
      ->check(CLI::IsMember({"generate", "completions", "chat", "translate"}))
      ->capture_default_str();
  command->add_option("--model", flags->model,
                      "Model for completions and chat; default: the first of GET /v1/models");
  command->add_option("--api-key", flags->api_key, "Sent as Authorization: Bearer");
  command
      ->add_option("--num-prompts", flags->num_prompts,
                   "Requests; default: one for each line of --file, else 100")
      ->check(CLI::Range(1, 10'000'000));
  command
      ->add_option("--request-rate", flags->request_rate,
                   "Requests a second, arriving at random; inf: all at once")
      ->capture_default_str();
  command
      ->add_option("--burstiness", flags->burstiness,
                   "Shape of the gaps between requests: 1 Poisson, below 1 in bursts, inf even")
      ->capture_default_str();
  command
      ->add_option("--max-concurrency", flags->max_concurrency,
                   "Most requests at a time; the others wait, and their waiting is not counted")
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("--file", flags->file, "Prompts: each line is one, over and over if there are too few");
  command->add_option("--template", flags->pattern,
                      "Around each line of --file: \"Translate into French: {text}\"");
  command->add_option("--from", flags->from, "Source language, for --endpoint translate")
      ->capture_default_str();
  command->add_option("--to", flags->to, "Target language, for --endpoint translate");
  command
      ->add_option("--random-input-len", flags->random.input_tokens,
                   "Without --file: prompts of random words with about so many tokens")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  command
      ->add_option("--random-output-len", flags->random.output_tokens,
                   "Without --file: most tokens of an answer; exactly so many with --ignore-eos")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  command
      ->add_option("--random-range-ratio", flags->random.range_ratio,
                   "Random lengths are between 1-R and 1+R times these")
      ->check(CLI::Range(0.0, 0.999))
      ->capture_default_str();
  command
      ->add_option("--output-len", flags->output_len,
                   "Most tokens of an answer (max_tokens); default: 256 with --file, else "
                   "--random-output-len")
      ->check(CLI::Range(1, 10'000'000));
  command->add_flag("--ignore-eos", flags->ignore_eos,
                    "Ask for answers that go on until their limit, so that all runs do the same work");
  command->add_option("--seed", flags->seed, "Of prompts, lengths and arrivals")->capture_default_str();
  command->add_option("--warmups", flags->warmups, "Requests before the measured ones")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  command->add_option("--timeout", flags->timeout, "Seconds that one request may take")
      ->check(CLI::Range(0.001, 1e6))
      ->capture_default_str();
  command->add_option("--goodput", flags->goodput,
                      "Count requests within these milliseconds: ttft:100 tpot:50 e2el:2000");
  command->add_option("--percentiles", flags->percentiles, "Percentiles to print; 50 is the median line")
      ->delimiter(',')
      ->capture_default_str();
  command->add_flag("--json", flags->json, "One JSON object with vLLM's field names");
  return [=] {
    const base::Result<bool> answered = run(*flags);
    if (!answered.ok()) return fail(answered.status());
    return answered.value() ? 0 : 1;
  };
}

}  // namespace pagoda::cli
