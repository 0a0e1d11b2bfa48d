// pagoda pull REPO: a model repository of a hub into the cache.

#include "hub/pull.h"

#include <fmt/core.h>

#include <chrono>

#include "base/byte_size.h"
#include "cli/engine_flags.h"
#include "cli/pull_line.h"
#include "cli/verbs.h"

namespace pagoda::cli {
namespace {

struct Flags {
  std::string repository;
  bool dry_run = false;
  std::shared_ptr<HubFlags> hub;
};

int dry_run(const Flags& flags, const hub::PullOptions& options, const hub::PullObserver& observer) {
  const auto listing = hub::list_files(flags.repository, options, observer);
  if (!listing.ok()) return fail(listing.status());
  std::uint64_t total = 0;
  for (const hub::RemoteFile& file : listing->files) {
    fmt::print("{:>12}  {}\n", base::format_bytes(file.bytes), file.path);
    total += file.bytes;
  }
  fmt::print("{:>12}  {} files of {} at {}\n", base::format_bytes(total), listing->files.size(),
             flags.repository, listing->commit);
  return 0;
}

int run(const Flags& flags) {
  auto options = pull_options(*flags.hub);
  if (!options.ok()) return fail(options.status());
  const InterruptFlag interrupt;
  options->cancelled = interrupt.flag();
  PullLine line(flags.repository);
  if (flags.dry_run) return dry_run(flags, *options, line.observer());
  const auto start = std::chrono::steady_clock::now();
  const auto report = hub::pull(flags.repository, *options, line.observer());
  line.clear();
  if (!report.ok()) return fail(report.status());
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  fmt::print(stderr, "{} at {}: {} files, {}; {} fetched in {:.1f} s\n", flags.repository, report->commit,
             report->files, base::format_bytes(report->bytes), base::format_bytes(report->fetched_bytes),
             seconds);
  fmt::print("{}\n", report->directory);
  return 0;
}

}  // namespace

Verb add_pull(CLI::App& app) {
  CLI::App* command = app.add_subcommand("pull", "Fetch a model from a hub into the cache, or go on with it");
  auto flags = std::make_shared<Flags>();
  command->add_option("repository", flags->repository, "ORG/NAME, e.g. tencent/HY-MT1.5-1.8B")->required();
  flags->hub = add_hub_flags(*command);
  command->add_flag(
      "--all", flags->hub->options.all_files,
      "All files of the repository; otherwise safetensors, configuration, tokenizer, licence, readme");
  command->add_option("--connections", flags->hub->options.connections, "Connections at a time")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command->add_flag("--dry-run", flags->dry_run, "List the files and their sizes, and end");
  return [=] { return run(*flags); };
}

}  // namespace pagoda::cli
